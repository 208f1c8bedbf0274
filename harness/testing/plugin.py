"""The pytest plugin: fixtures that run Splitbrain's tests and start clusters.

    def test_it_is_correct(splitbrain_run):
        splitbrain_run(workload="kv", nemesis=["kill"])

A test that uses `splitbrain_run` is called several times. First, it is called once for each saved
run in the corpus folder that has the test's system and workload. Then it is called with
`--splitbrain-runs` seeds, from `--splitbrain-seed` on. A run that is not valid fails the test. The
failure shows the anomalies, the path of the report and the command that repeats the run. With
`--splitbrain-system simulated`, each run is executed twice. The test also fails if the two
executions differ.

`splitbrain_cluster` is a started cluster, which is stopped after the test. If the test fails, the
failure shows the cluster's folder and the end of each member's log. With a simulated system, the
test is skipped, because only real processes can be started as a cluster.

`splitbrain_schedule` runs one schedule. `splitbrain shrink` prints tests that use it.

`@pytest.mark.splitbrain(workload="kv", …)` sets options for one test. An option on pytest's command
line has priority over the mark. An option in the call of `splitbrain_run` has priority over both. A
saved run is always repeated with the saved options.

`--lf` repeats the seeds of the tests that failed. Every run has its own ports and folder, so that
`pytest -n` is safe.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from splitbrain.harness.failures.corpus import SavedRun
    from splitbrain.harness.judging.run_result import RunResult
    from splitbrain.harness.schedule.schedule import Schedule
    from splitbrain.harness.testing.cluster import Cluster

TIME_LIMIT_S = 10.0
REPORT_PROPERTY = "splitbrain_report"
LAST_FAILED = "cache/lastfailed"
"""The key in pytest's cache under which the ids of the tests that failed last are stored."""
SEED_ID = re.compile(r"[\[-]seed-(\d+)[\]-]")
"""Matches the seed in the id of a test case."""

FLAGS = {
    "system": ("--splitbrain-system", str,
               "the system under test: python_node, simulated, etcd, or package.module:Class "
               "[python_node]"),
    "workload": ("--splitbrain-workload", str,
                 "the workload: see `splitbrain list workloads` [register]"),
    "nemesis": ("--splitbrain-nemesis", str,
                "kinds of faults, separated by commas, or all, or none [kill,pause,partition]"),
    "known": ("--splitbrain-known", str,
              "known bugs of the tested store to excuse, separated by commas, or all [none]"),
    "time_limit_s": ("--splitbrain-time-limit", float,
                     f"duration of the load, in seconds [{TIME_LIMIT_S:g}]"),
    "store": ("--splitbrain-store", str, "the folder of runs [store, in the root folder]"),
}
"""For each option of a run: the flag of pytest, the type of its value, and its help text."""

_seeds = pytest.StashKey[Sequence[int]]()
_cluster = pytest.StashKey["Cluster"]()
_failed = pytest.StashKey[bool]()
_set_up_errors = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("splitbrain", "splitbrain: runs against clusters, real and simulated")
    for name, (flag, kind, text) in FLAGS.items():
        group.addoption(flag, dest=f"splitbrain_{name}", type=kind, default=None, help=text)
    group.addoption("--splitbrain-seed", type=int, default=None, metavar="SEED",
                    help="the first seed [random, and printed in the header; with --lf or --ff "
                         "the seeds of the failed tests]")
    group.addoption("--splitbrain-runs", type=int, default=1, metavar="N",
                    help="the number of seeds for each test, from the first one on [1]")
    parser.addini("splitbrain_corpus", "the folder of saved runs, relative to the root folder",
                  default="histories/corpus")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "splitbrain(**options): options of the runs of this test; "
        "the names are those of splitbrain.Options",
    )
    worker = getattr(config, "workerinput", None)
    if worker is None:
        config.pluginmanager.register(Reports(), "splitbrain-reports")
    config.stash[_seeds] = _chosen_seeds(config) if worker is None else worker["splitbrain_seeds"]
    config.stash[_set_up_errors] = {}


def _chosen_seeds(config: pytest.Config) -> list[int]:
    """Return the seeds with which each test is called.

    If the command line contains a seed, the seeds begin with it. Otherwise, with --lf or --ff, the
    seeds are those of the tests that failed. Otherwise the first seed is random.
    """
    from splitbrain.harness.drawing.seed import seed_or_drawn

    first, count = config.getoption("--splitbrain-seed"), config.getoption("--splitbrain-runs")
    if count < 1:
        raise pytest.UsageError(f"--splitbrain-runs {count}: expected at least 1")
    cache = getattr(config, "cache", None)
    repeats = config.getoption("lf", False) or config.getoption("failedfirst", False)
    if first is None and repeats and cache is not None:
        failed = cache.get(LAST_FAILED, {})
        seeds = {int(seed) for test in failed for seed in SEED_ID.findall(str(test))}
        if seeds:
            return sorted(seeds)
    first = seed_or_drawn(first)
    return list(range(first, first + count))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Send the seeds to a worker of pytest-xdist.

    All workers must collect the same test cases, and there is one test case for each seed.
    """
    node.workerinput["splitbrain_seeds"] = list(node.config.stash[_seeds])


def pytest_report_header(config: pytest.Config) -> str:
    seeds = config.stash[_seeds]
    if list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"splitbrain: first seed {seeds[0]} (--splitbrain-seed)"
    return f"splitbrain: the seeds of failed tests, {', '.join(map(str, seeds))}"


# --- seeds ----------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "splitbrain_seed" not in metafunc.fixturenames:
        return
    from splitbrain.harness.errors import BadArguments

    try:
        saved = _saved_runs(metafunc)
    except BadArguments as problem:
        raise pytest.Collector.CollectError(str(problem)) from None
    drawn = metafunc.config.stash[_seeds]
    metafunc.parametrize(
        "splitbrain_seed",
        [*saved, *drawn],
        ids=[*(f"saved-{one.name}" for one in saved), *(f"seed-{seed}" for seed in drawn)],
        indirect=True,
    )


def _saved_runs(metafunc: pytest.Metafunc) -> list[SavedRun]:
    from splitbrain.harness.failures.corpus import read_corpus

    if "splitbrain_run" not in metafunc.fixturenames:
        return []  # A saved run is a whole run, which a test of a cluster cannot repeat.
    config = metafunc.config
    options = _options(config, metafunc.definition)
    corpus = read_corpus(config.rootpath / str(config.getini("splitbrain_corpus")))
    return [one for one in corpus if one.fits(options)]


def _options(config: pytest.Config, item: pytest.Item | pytest.Function) -> dict[str, Any]:
    """Return the options of the runs of a test, except those in the call of `splitbrain_run`.

    The sources are the defaults, `[tool.splitbrain]`, the marks and the command line. A later
    source has priority over an earlier one.
    """
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
    for name in ("nemesis", "known"):
        if isinstance(found.get(name), str):
            found[name] = parse_list(name, found[name])
    store = Path(found.get("store", DEFAULTS.store))
    found["store"] = str(store if store.is_absolute() else config.rootpath / store)
    return found


@pytest.fixture
def splitbrain_seed(request: pytest.FixtureRequest) -> Any:
    """The seed of this test case, or a `SavedRun` of the corpus."""
    return request.param


# --- fixtures -------------------------------------------------------------------


@pytest.fixture
def splitbrain_run(
    request: pytest.FixtureRequest, splitbrain_seed: Any
) -> Callable[..., RunResult]:
    """A function that takes options of a run as keywords, and returns the result of the run.

    If the run is not valid, the test fails.
    """
    from splitbrain.harness.testing.cluster import options_of_case

    def run(**options: Any) -> RunResult:
        __tracebackhide__ = True
        from msgspec.structs import replace

        from splitbrain.harness.drawing.schedule_drawing import draw_schedule
        from splitbrain.harness.failures.corpus import SavedRun

        with _error_as_failure(request):
            base = _options(request.config, request.node)
            if isinstance(splitbrain_seed, SavedRun) and not splitbrain_seed.fits(options):
                pytest.skip("the saved run is of another system or workload")
            chosen = options_of_case(base, splitbrain_seed, options)
            saved = getattr(splitbrain_seed, "schedule", None)
            if saved is None:
                schedule = draw_schedule(chosen)
            else:
                schedule = replace(saved, options=replace(saved.options, store=chosen.store))
            result, difference = _executed(schedule)
        return _checked(request, result, difference)

    return run


@pytest.fixture
def splitbrain_cluster(
    request: pytest.FixtureRequest, splitbrain_seed: Any
) -> Iterator[Cluster]:
    """A started `Cluster`, which is stopped after the test."""
    from splitbrain.harness.testing.cluster import (
        keep_or_remove_cluster_data,
        open_cluster,
        options_of_case,
    )

    with contextlib.ExitStack() as opened:
        with _error_as_failure(request):
            options = options_of_case(
                _options(request.config, request.node), splitbrain_seed, {}
            )
            if options.system == "simulated":
                pytest.skip(
                    "splitbrain_cluster starts real processes, and the system is simulated; "
                    "splitbrain_run and splitbrain_schedule work with both"
                )
            cluster = opened.enter_context(open_cluster(options))
        request.node.stash[_cluster] = cluster
        yield cluster
    keep_or_remove_cluster_data(cluster, failed=request.node.stash.get(_failed, False))


@pytest.fixture
def splitbrain_schedule(request: pytest.FixtureRequest) -> Callable[..., RunResult]:
    """A function that runs a schedule and returns the result.

    The argument is a schedule, its text (as `splitbrain shrink` prints it) or the path of its file.
    The test fails if the run is not valid. A simulated schedule is run twice, and the test also
    fails if the two runs differ.
    """

    def run(schedule: Schedule | str | Path) -> RunResult:
        __tracebackhide__ = True
        from msgspec.structs import replace

        from splitbrain.harness.schedule.text import parse_schedule, read_schedule

        store = str(_options(request.config, request.node)["store"])
        with _error_as_failure(request):
            if isinstance(schedule, Path):
                schedule = read_schedule(schedule)
            elif isinstance(schedule, str):
                schedule = parse_schedule(schedule)
            schedule = replace(schedule, options=replace(schedule.options, store=store))
            result, difference = _executed(schedule)
        return _checked(request, result, difference)

    return run


def _executed(schedule: Schedule) -> tuple[RunResult, str | None]:
    """Execute `schedule`, twice if it is simulated.

    Returns the result of the first run, and the first event in which the two runs differ. The
    second value is None if the runs are equal, or if there is only one run.
    """
    from splitbrain.harness.runs.execute import execute
    from splitbrain.harness.runs.execute_twice import execute_twice

    return execute_twice(schedule) if schedule.system == "simulated" else (execute(schedule), None)


@contextlib.contextmanager
def _error_as_failure(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test with the message of an expected error.

    An expected error is a SplitbrainError. The traceback is left out, because it shows only code of
    the harness. If several tests of a process fail with the same message, only the first one shows
    the whole message. The others show its first line.
    """
    __tracebackhide__ = True
    from splitbrain.harness.errors import SplitbrainError

    try:
        yield
    except SplitbrainError as problem:
        text = str(problem)
        first = request.config.stash[_set_up_errors].setdefault(text, request.node.nodeid)
        if first != request.node.nodeid:
            text = f"{text.splitlines()[0]} (as in {first})"
        # Without a context, because pytest would print the message of each chained exception.
        raise pytest.fail.Exception(text, pytrace=False) from None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the folder of the cluster and the members' logs to the report of a failed test."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.when == "call":
        item.stash[_failed] = report.failed
    cluster = item.stash.get(_cluster, None)
    if report.when == "call" and report.failed and cluster is not None:
        report.sections.append(("splitbrain cluster", cluster.describe()))


def _checked(
    request: pytest.FixtureRequest, result: RunResult, difference: str | None
) -> RunResult:
    """Return `result`, or fail the test if the run is not valid, or if its repetition differs."""
    __tracebackhide__ = True
    if result.report is not None:
        request.node.user_properties.append((REPORT_PROPERTY, str(result.report)))
    if result.ended == "interrupted":
        raise KeyboardInterrupt
    if result.valid is not True or result.error:
        pytest.fail(failure_text(result), pytrace=False)
    if difference is not None:
        pytest.fail(f"two runs of the same schedule differ: {difference}", pytrace=False)
    return result


def failure_text(result: RunResult) -> str:
    """Return the message of a test that failed because the run is not valid.

    It contains the anomalies, the path of the report and the command that repeats the run.
    """
    from splitbrain.harness.judging.result_text import count_lines, reproduce_line, summary

    word = {True: "valid", False: "invalid", None: "unknown"}[result.valid]
    lines = [f"the run is {word}"]
    if result.error:
        lines.append(f"the run failed: {result.error}")
    lines += [summary(result.results)] if summary(result.results) else []
    first, *rest = count_lines(result.results.operations)
    lines += [f"operations: {first}", *rest]
    lines.append(f"report: {result.report or result.folder}")
    lines.append(f"reproduce: {reproduce_line(result)}")
    return "\n".join(lines)


# --- the session's end ------------------------------------------------------------


class Reports:
    """Collects the reports of the session's runs, and writes the index of each store.

    With pytest-xdist, the reports of the workers are collected too.
    """

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
        from splitbrain.harness.counted import counted
        from splitbrain.harness.report.runs_index import write_index

        terminalreporter.section("splitbrain")
        terminalreporter.line(f"{counted(len(self._found), 'run')} with a report")
        for store in dict.fromkeys(report.parent.parent.parent for report in self._found):
            index = os.path.relpath(write_index(store), config.rootpath)
            terminalreporter.line(f"index: {index}")
