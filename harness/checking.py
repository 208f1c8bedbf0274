"""Judging a file that holds a history: ours without its run, or somebody else's."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from checkers.budget import check_budget
from checkers.evidence import Checker, Evidence
from checkers.limits import read_limits
from checkers.logged import (
    MODELS,
    LogChecker,
    UnknownModel,
    check_registers,
    has_times,
    model_of,
    timed_history,
)
from checkers.statistics import check_statistics
from checkers.verdict import Verdict
from harness.errors import BadArguments
from harness.judge import INTERRUPTED, Watch, checkers_of, judge_evidence, merged
from harness.options import Options
from histories.collector import collector_paused
from histories.errors import HistoryError
from histories.formats.catalogue import FORMATS, OWN, format_of, read_logged
from histories.formats.logged import LoggedOperation, by_key, is_keyed
from histories.history import History

OF_TRACES = ("write_path", "promises")
"""Checkers that a bare history gives nothing to judge: asked only by name."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How a file is to be judged; what is empty or None is told from the file."""

    form: str = ""
    """A name of `histories.formats.catalogue.FORMATS`."""
    model: str = ""
    """A name of `checkers.logged.MODELS`."""
    checkers: tuple[str, ...] = ()
    keyed: bool | None = None
    """Whether values are pairs [key, value]."""
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True)
class Checked:
    """A judged file. `history` is of a file of ours, `logged` of somebody else's."""

    form: str
    model: str
    verdicts: tuple[Verdict, ...]
    read_s: float
    judged_s: float
    history: History | None = None
    logged: Sequence[LoggedOperation] = ()

    @property
    def valid(self) -> bool | None:
        return merged(self.verdicts)

    @property
    def operations(self) -> int:
        return len(self.history.operations if self.history else self.logged)


def history_file(path: Path) -> Path | None:
    """The history to judge in `path`, None for the folder of a run of ours.

    Raises BadArguments where there is none.
    """
    if not path.exists():
        raise BadArguments(f"{path} does not exist; expected a run's folder or a history's file")
    if path.is_file():
        return path
    if not path.is_dir():
        raise BadArguments(f"{path} is neither a folder nor a file")
    if (path / "run.json").exists():
        return None
    for name in ("history.edn", "history.txt", "history.jsonl"):
        if (path / name).is_file():
            return path / name
    raise BadArguments(
        f"{path} is not the folder of a run: no run.json, history.edn, history.txt or "
        "history.jsonl in it"
    )


def check_file(path: Path, asked: Asked, watch: Watch) -> Checked:
    """Judge the history in the file `path`. Raises BadArguments for what cannot be judged."""
    began = time.perf_counter()
    form, model = asked.form, asked.model
    history: History | None = None
    logged: Sequence[LoggedOperation] = ()
    try:
        if asked.form and asked.form not in FORMATS:
            raise BadArguments(f"no format {asked.form!r}; there are {', '.join(FORMATS)}")
        form = asked.form or format_of(path)
        watch.show(f"reading {path.name}")
        if form == OWN:
            history = _own(path)
            checkers = _own_checkers(asked)
        else:
            logged = read_file(path, form, asked.keyed)
            model, checkers = log_checkers(logged, form, asked)
    except HistoryError as problem:
        raise BadArguments(str(problem)) from problem
    except KeyboardInterrupt:
        watch.interrupted = True
        unread = Verdict("reading", None, why=INTERRUPTED)
        return Checked(form, model, (unread,), time.perf_counter() - began, 0.0)
    read = time.perf_counter()
    evidence = Evidence(
        history or timed_history(logged),
        search_limit_s=asked.options.search_limit_s,
        budget=read_limits(asked.options.budget),
    )
    with collector_paused():
        verdicts = judge_evidence(evidence, checkers, watch)
    now = time.perf_counter()
    return Checked(form, model, verdicts, read - began, now - read, history, logged)


def _own(path: Path) -> History:
    history = History.read(path)
    if not history.operations:
        raise HistoryError(f"{path} has no operation of a client")
    return history


def _own_checkers(asked: Asked) -> Mapping[str, Checker]:
    if asked.model:
        raise BadArguments(
            f"--model {asked.model}: a history of ours is of the key-value store; "
            "--checker chooses among its checkers"
        )
    found = checkers_of(asked.options, asked.checkers)
    return {n: c for n, c in found.items() if asked.checkers or n not in OF_TRACES}


def read_file(path: Path, form: str, keyed: bool | None) -> Sequence[LoggedOperation]:
    """Operations of a file of somebody else's, with their keys apart if they have any.

    Raises HistoryError where it is no history of the format `form`.
    """
    with collector_paused():
        logged = read_logged(path, form)
        if form == "porcupine-kv" or keyed is False:
            return logged
        if keyed and not all(_is_pair(op.argument) for op in logged):
            raise HistoryError(f"{path}: --keyed, but not every value is a pair [key, value]")
        return by_key(logged) if keyed or is_keyed(logged) else logged


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2


def log_checkers(
    logged: Sequence[LoggedOperation], form: str, asked: Asked
) -> tuple[str, Mapping[str, Checker]]:
    """The model's name, and the checkers that judge `logged` as such."""
    if asked.model and asked.model not in MODELS:
        raise BadArguments(f"no model {asked.model!r}; there are {', '.join(MODELS)}")
    try:
        name = asked.model or model_of(logged)
    except UnknownModel as problem:
        raise BadArguments(str(problem)) from problem
    model = MODELS[name]
    strange = next((op for op in logged if op.f not in model.functions), None)
    if strange is not None:
        raise BadArguments(
            f"event {strange.call} is {strange.f!r}, which is no operation of the model {name}: "
            f"expected {', '.join(sorted(model.functions))}"
        )
    for wanted in asked.checkers:
        if wanted not in model.checkers:
            raise BadArguments(
                f"no checker {wanted!r} of {model.says}; there are {', '.join(model.checkers)}"
            )
    chosen = asked.checkers or tuple(model.checkers)
    found = {
        one: _bound(model.checkers[one], logged, form, asked.options.search_limit_s)
        for one in chosen
    }
    return name, {**found, **_of_times(logged, asked)}


def _of_times(logged: Sequence[LoggedOperation], asked: Asked) -> Mapping[str, Checker]:
    """What judges times, where they were written down."""
    if asked.checkers:
        return {}
    if has_times(logged):
        return {"statistics": check_statistics} | (
            {"budget": check_budget} if asked.options.budget else {}
        )
    if asked.options.budget:
        why = "no times are written down"
        return {"budget": lambda _: Verdict("budget", None, why=why)}
    return {}


def _bound(
    checker: LogChecker, logged: Sequence[LoggedOperation], form: str, limit_s: float
) -> Checker:
    if checker is check_registers:
        # These logs tell a swap's failure as an answer; elsewhere it did not happen.
        return lambda _: check_registers(logged, limit_s, failed_swap_tells=form == "jepsen-log")
    return lambda _: checker(logged, limit_s)
