"""pytest: clusters and runs as fixtures, many seeds, saved seeds first.

    def test_it_holds(splitbrain_run):
        splitbrain_run(workload="kv", nemesis=["kill"])

`splitbrain_run` runs once for each seed: the saved ones of the corpus folder first,
then `--splitbrain-runs` of them from `--splitbrain-seed` on. A run that is not valid
fails the test with its anomalies, the path of its report and the line that runs it
again. With `--splitbrain-system simulated` each seed is run twice, and the two must not
differ. `splitbrain_cluster` is a started cluster, stopped after the test;
`splitbrain_schedule` runs one schedule, as `splitbrain shrink` prints it.

`@pytest.mark.splitbrain(workload="kv", …)` gives a test options of its own; what the
call of `splitbrain_run` gives wins, and what the command line of pytest gives wins over
the mark. Saved seeds of another system or workload than the test's are left out.

Every run has ports and a folder of its own, so that `pytest -n` is safe.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from splitbrain.harness.campaign.corpus import SavedSeed
    from splitbrain.harness.judging.run_result import RunResult
    from splitbrain.harness.schedule.schedule import Schedule
    from splitbrain.harness.testing.cluster import Cluster

TIME_LIMIT_S = 10.0
REPORT_PROPERTY = "splitbrain_report"

FLAGS = {
    "system": ("--splitbrain-system", str, "python_node, simulated, etcd, or package.module:Class"),
    "workload": ("--splitbrain-workload", str, "the workload: see `splitbrain list`"),
    "nemesis": ("--splitbrain-nemesis", str, "kinds of faults, with commas, or none"),
    "time_limit_s": ("--splitbrain-time-limit", float, f"seconds of load [{TIME_LIMIT_S:g}]"),
    "store": ("--splitbrain-store", str, "the folder of runs [store, below the root folder]"),
}
"""Option of a run → pytest's flag, its type, its help."""

_base_seed = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("splitbrain", "splitbrain: runs against clusters, real and simulated")
    for name, (flag, kind, text) in FLAGS.items():
        group.addoption(flag, dest=f"splitbrain_{name}", type=kind, default=None, help=text)
    group.addoption("--splitbrain-seed", type=int, default=None, metavar="SEED",
                    help="the first seed [drawn, and told in the header]")
    group.addoption("--splitbrain-runs", type=int, default=1, metavar="N",
                    help="seeds for each test, from the first one on [1]")
    parser.addini("splitbrain_corpus", "folder of saved seeds, below the root folder",
                  default="histories/corpus")


def pytest_configure(config: pytest.Config) -> None:
    from splitbrain.harness.drawing.seed import seed_or_drawn

    config.addinivalue_line(
        "markers",
        "splitbrain(**options): options of the runs of this test, "
        "see splitbrain.harness.schedule.options",
    )
    if config.getoption("--splitbrain-runs") < 1:
        raise pytest.UsageError("--splitbrain-runs: expected at least 1")
    given = config.getoption("--splitbrain-seed")
    worker = getattr(config, "workerinput", None)
    if given is None and worker is not None:
        given = worker["splitbrain_seed"]
    if worker is None:
        config.pluginmanager.register(Reports(), "splitbrain-reports")
    config.stash[_base_seed] = seed_or_drawn(given)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Every worker of pytest-xdist must collect the same seeds."""
    node.workerinput["splitbrain_seed"] = node.config.stash[_base_seed]


def pytest_report_header(config: pytest.Config) -> str:
    return f"splitbrain: first seed {config.stash[_base_seed]} (--splitbrain-seed)"


# --- seeds ----------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "splitbrain_seed" not in metafunc.fixturenames:
        return
    from splitbrain.harness.errors import BadArguments

    try:
        saved = _saved_seeds(metafunc)
    except BadArguments as problem:
        raise pytest.UsageError(str(problem)) from problem
    first = metafunc.config.stash[_base_seed]
    drawn = range(first, first + metafunc.config.getoption("--splitbrain-runs"))
    metafunc.parametrize(
        "splitbrain_seed",
        [*saved, *drawn],
        ids=[*(f"saved-{one.name}" for one in saved), *(f"seed-{seed}" for seed in drawn)],
        indirect=True,
    )


def _saved_seeds(metafunc: pytest.Metafunc) -> list[SavedSeed]:
    from splitbrain.harness.campaign.corpus import read_corpus

    config = metafunc.config
    options = _options(config, metafunc.definition)
    corpus = read_corpus(config.rootpath / str(config.getini("splitbrain_corpus")))
    return [one for one in corpus if one.fits(options)]


def _options(config: pytest.Config, item: pytest.Item | pytest.Function) -> dict[str, Any]:
    """What the project, the mark and the command line say of a test's runs, as far as they do."""
    from splitbrain.harness.schedule.options import DEFAULTS, parse_list, project_options

    found: dict[str, Any] = {
        "system": DEFAULTS.system, "workload": DEFAULTS.workload, "time_limit_s": TIME_LIMIT_S,
        **project_options(config.rootpath),
    }
    for mark in reversed(list(item.iter_markers("splitbrain"))):
        found.update(mark.kwargs)
    for name in FLAGS:
        value = config.getoption(f"splitbrain_{name}")
        if value is not None:
            found[name] = value
    if isinstance(found.get("nemesis"), str):
        found["nemesis"] = parse_list("nemesis", found["nemesis"])
    store = Path(found.get("store", DEFAULTS.store))
    found["store"] = str(store if store.is_absolute() else config.rootpath / store)
    return found


@pytest.fixture
def splitbrain_seed(request: pytest.FixtureRequest) -> Any:
    """The seed of this case: a number, or one saved in the corpus
    (`splitbrain.harness.campaign.corpus.SavedSeed`)."""
    return request.param


# --- fixtures -------------------------------------------------------------------


@pytest.fixture
def splitbrain_run(
    request: pytest.FixtureRequest, splitbrain_seed: Any
) -> Callable[..., RunResult]:
    """Call it with options of a run; it returns a valid run's result, and fails the test
    for any other."""
    from splitbrain.harness.testing.cluster import settle

    def run(**options: Any) -> RunResult:
        __tracebackhide__ = True
        from splitbrain.harness.drawing.draw import draw_schedule
        from splitbrain.harness.runs.execute import execute
        from splitbrain.harness.runs.repeat import execute_twice

        with _plainly():
            settled = settle(_options(request.config, request.node), splitbrain_seed, options)
            schedule = draw_schedule(settled)
            if schedule.system == "simulated":
                result, difference = execute_twice(schedule)
            else:
                result, difference = execute(schedule), None
        return _checked(request, result, difference)

    return run


@pytest.fixture
def splitbrain_cluster(
    request: pytest.FixtureRequest, splitbrain_seed: Any
) -> Iterator[Cluster]:
    """A started cluster, stopped when the test is over: see
    `splitbrain.harness.testing.cluster.Cluster`."""
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.testing.cluster import open_cluster, settle

    with _plainly():
        options = settle(_options(request.config, request.node), splitbrain_seed, {})
        if options.system == "simulated":
            raise BadArguments(
                "splitbrain_cluster is of real processes, and the system is simulated: ask for "
                "another one, or write the test with splitbrain_run or splitbrain_schedule"
            )
    with open_cluster(options) as cluster:
        yield cluster


@pytest.fixture
def splitbrain_schedule(request: pytest.FixtureRequest) -> Callable[..., RunResult]:
    """Call it with a schedule, one as text (`splitbrain shrink` prints them), or the path of
    its file: it is run in simulation, twice, and must be valid and both times the same."""

    def run(schedule: Schedule | str | Path) -> RunResult:
        __tracebackhide__ = True
        from msgspec.structs import replace

        from splitbrain.harness.runs.repeat import execute_twice
        from splitbrain.harness.schedule.text import parse_schedule, read_schedule

        store = str(_options(request.config, request.node)["store"])
        with _plainly():
            if isinstance(schedule, Path):
                schedule = read_schedule(schedule)
            elif isinstance(schedule, str):
                schedule = parse_schedule(schedule)
            schedule = replace(schedule, options=replace(schedule.options, store=store))
            result, difference = execute_twice(schedule)
        return _checked(request, result, difference)

    return run


@contextlib.contextmanager
def _plainly() -> Iterator[None]:
    """What a test asks for and cannot be fails it with the reason alone: the harness's own
    frames would tell its user nothing."""
    __tracebackhide__ = True
    from splitbrain.harness.errors import BadArguments

    try:
        yield
    except BadArguments as problem:
        pytest.fail(str(problem), pytrace=False)


def _checked(
    request: pytest.FixtureRequest, result: RunResult, difference: str | None
) -> RunResult:
    """`result` if it is valid and nothing differed; otherwise the test fails."""
    __tracebackhide__ = True
    if result.report is not None:
        request.node.user_properties.append((REPORT_PROPERTY, str(result.report)))
    if result.ended == "interrupted":
        raise KeyboardInterrupt
    if result.valid is not True or result.error:
        pytest.fail(failure_text(result), pytrace=False)
    if difference is not None:
        pytest.fail(f"two runs of one seed differ: {difference}", pytrace=False)
    return result


def failure_text(result: RunResult) -> str:
    """What went wrong, where the report is, and the line that runs it again."""
    from splitbrain.harness.cli.outcome_text import reproduce_line, summary

    word = {True: "valid", False: "invalid", None: "unknown"}[result.valid]
    lines = [f"the run is {word}"]
    if result.error:
        lines.append(f"it broke off: {result.error}")
    lines += [summary(result.results)] if summary(result.results) else []
    lines.append(f"report: {result.report or result.folder}")
    lines.append(f"reproduce: {reproduce_line(result)}")
    return "\n".join(lines)


# --- the session's end ------------------------------------------------------------


class Reports:
    """The reports of a session's runs, also of those that workers of pytest-xdist made."""

    def __init__(self) -> None:
        self._found: list[Path] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self._found += [
                Path(str(value)) for name, value in report.user_properties
                if name == REPORT_PROPERTY
            ]

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        if not self._found:
            return
        from splitbrain.harness.report.index import write_index

        terminalreporter.section("splitbrain")
        terminalreporter.line(f"{len(self._found)} runs with a report")
        for store in dict.fromkeys(report.parent.parent.parent for report in self._found):
            index = os.path.relpath(write_index(store), config.rootpath)
            terminalreporter.line(f"index: {index}")
