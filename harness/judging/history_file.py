"""Judges a single history file, which this project or another tool recorded."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from splitbrain.checkers.budget_limits import read_limits
from splitbrain.checkers.evidence import Checker, Evidence
from splitbrain.checkers.foreign.linearizable import check_registers
from splitbrain.checkers.foreign.models import (
    MODELS,
    TRANSACTION_MODELS,
    LogChecker,
    UnknownModel,
    model_of,
    model_of_micro,
)
from splitbrain.checkers.foreign.timing import has_times, timed_history, timed_transactions
from splitbrain.checkers.service_level.budget import check_budget
from splitbrain.checkers.service_level.statistics import check_statistics
from splitbrain.checkers.transactions import DEFAULT, NAME, check_transactions, model_named
from splitbrain.checkers.transactions.checker import of_registers
from splitbrain.checkers.verdict import Verdict
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.judging.initial_value import initial_register, initial_value
from splitbrain.harness.judging.judge import (
    INTERRUPTED,
    JudgingObserver,
    checkers_of,
    judge_evidence,
)
from splitbrain.harness.judging.missing_file_evidence import missing_evidence
from splitbrain.harness.judging.run_verdict import run_verdict
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.store.run_folder import HISTORY, RunFolder
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.detection import (
    FORMATS,
    JSON_LINES,
    OWN,
    TRANSACTIONS,
    format_of,
    micro_operations,
    read_foreign,
    read_foreign_transactions,
)
from splitbrain.histories.formats.foreign_operation import ForeignOperation, by_key, is_keyed
from splitbrain.histories.formats.jepsen_transactions import transactions_of
from splitbrain.histories.formats.transactions import read_transactions
from splitbrain.histories.garbage_collection import collector_paused
from splitbrain.histories.history import History
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.sidecar import read_members
from splitbrain.histories.transaction import Transaction

KNOWN_MODELS = (*MODELS, *TRANSACTION_MODELS)

NOT_OF_A_FILE = ("write_path", "raft_safety", "watch")
"""Checkers that need more than a single history file. They run only if the user names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """How to judge a file. Anything that is empty or None is inferred from the file."""

    form: str = ""
    """The name of a format in `splitbrain.histories.formats.detection.FORMATS`."""
    model: str = ""
    """The name of a model in `KNOWN_MODELS`."""
    consistency: str = ""
    """The name of a consistency model of transactions, in
    `splitbrain.checkers.transactions.MODELS`."""
    checkers: tuple[str, ...] = ()
    keyed: bool | None = None
    """Whether all values are pairs [key, value]."""
    options: Options = field(default_factory=Options)
    initial: str | None = None
    """The value with which every object starts, as EDN or JSON; None: the default of the model."""


@dataclass(frozen=True, slots=True)
class HistoryFile:
    """The content of a history file. The file decides which fields are set:

    - for a history of this project: `history`, and in `members` the states from its sidecar file;
    - for transactions in this project's format: `transactions`;
    - for a file of another tool: `foreign`, and if its operations are transactions, `transactions`
      as well.
    """

    form: str
    model: str
    history: History | None = None
    foreign: Sequence[ForeignOperation] = ()
    transactions: Sequence[Transaction] = ()
    members: tuple[MemberState, ...] = ()

    def __len__(self) -> int:
        """Return the number of operations."""
        return len(self.history.operations if self.history else self.foreign or self.transactions)


@dataclass(frozen=True, slots=True)
class FileResult:
    """A history file and its verdicts, with the times of reading and judging in s."""

    file: HistoryFile
    verdicts: tuple[Verdict, ...]
    read_s: float
    judged_s: float

    @property
    def valid(self) -> bool | None:
        """The merged verdict of the checkers that apply; None (unknown) if no checker applies."""
        applying = [verdict for verdict in self.verdicts if verdict.applies]
        return run_verdict(applying)


def parse_models(names: Sequence[str], consistency_model: str = "") -> tuple[str, str]:
    """Return a pair: the model of the operations, and the consistency model of transactions.

    Each of them is "" if it is not given. `names` are the values of `--model`; each value is a
    model of operations or a consistency model. `consistency_model` is the value of
    `--consistency-model`. Raises BadArguments for an unknown name, and for two names of the same
    kind.
    """
    model = consistency = ""
    for name in names:
        if name in KNOWN_MODELS and not model:
            model = name
            continue
        if name in KNOWN_MODELS or consistency:
            raise BadArguments(f"--model {' --model '.join(names)}: expected one of each kind")
        try:
            consistency = model_named(name)
        except ValueError as problem:
            raise BadArguments(
                f"no model {name!r}; there are {', '.join(KNOWN_MODELS)}; for transactions: "
                f"{problem}"
            ) from None
    if not consistency_model:
        return model, consistency
    if consistency:
        raise BadArguments(
            f"--consistency-model {consistency_model} and --model {consistency}: expected one of "
            "them"
        )
    try:
        return model, model_named(consistency_model)
    except ValueError as problem:
        raise BadArguments(f"--consistency-model: {problem}") from None


def find_history(path: Path) -> Path | None:
    """Return the path of the history file at `path`, or in the folder `path`.

    Returns None if `path` is the folder of a run of this project. Raises BadArguments if there is
    no history.
    """
    if not path.exists():
        raise BadArguments(f"{path} does not exist; expected a run's folder or a history file")
    if path.is_file():
        return path
    if not path.is_dir():
        raise BadArguments(f"{path} is neither a folder nor a file")
    if RunFolder(path).record.exists():
        return None
    for name in ("history.edn", "history.txt", HISTORY):
        if (path / name).is_file():
            return path / name
    raise BadArguments(
        f"{path} is not the folder of a run: no run.json, history.edn, history.txt or "
        "history.jsonl in it"
    )


def check_file(path: Path, options: FileOptions, observer: JudgingObserver) -> FileResult:
    """Judge the history in the file `path`. Raises BadArguments if it cannot be judged."""
    began = time.perf_counter()
    try:
        form = options.form or format_of(path)
        if form not in FORMATS:
            raise BadArguments(f"no format {form!r}; there are {', '.join(FORMATS)}")
        observer.show(f"reading {path.name}")
        with collector_paused():
            file = _read(path, form, options)
            history = file.history or _times_of(file)
        checkers = _checkers(file, options)
    except HistoryError as problem:
        raise BadArguments(one_line(str(problem))) from problem
    except RecursionError as problem:
        raise BadArguments(f"{path} {_TOO_DEEP}") from problem
    except (OSError, ValueError) as problem:
        raise BadArguments(one_line(f"{path} cannot be read: {problem}")) from problem
    except KeyboardInterrupt:
        observer.interrupted = True
        unread = Verdict("reading", None, why=INTERRUPTED)
        file = HistoryFile(options.form, "")
        return FileResult(file, (unread,), time.perf_counter() - began, 0.0)
    done = time.perf_counter()
    evidence = Evidence(
        history,
        file.members,
        search_limit_s=options.options.search_limit_s,
        budget=read_limits(options.options.budget),
        consistency=options.consistency or DEFAULT,
    )
    with collector_paused():
        verdicts = judge_evidence(evidence, checkers, observer)
    if any(verdict.why.startswith("the checker failed: RecursionError") for verdict in verdicts):
        raise BadArguments(f"{path} {_TOO_DEEP}")
    verdicts += missing_evidence(
        file.history, file.transactions, verdicts, named=bool(options.checkers)
    )
    return FileResult(file, verdicts, done - began, time.perf_counter() - done)


_TOO_DEEP = "contains values that are nested too deeply: expected at most a few hundred levels"


def one_line(message: str) -> str:
    """Replace each line end in `message` by its escape sequence."""
    return message.replace("\n", "\\n").replace("\r", "\\r")


def _times_of(file: HistoryFile) -> History:
    """Return a history with the times and outcomes of the operations, but without their values."""
    if file.transactions:
        return timed_transactions(file.transactions)
    return timed_history(file.foreign)


def _read(path: Path, form: str, options: FileOptions) -> HistoryFile:
    if form == OWN:
        return HistoryFile(form, "", history=_read_own(path), members=read_members(path))
    if form == TRANSACTIONS:
        return _read_transactions(path)
    if options.model in ("", *TRANSACTION_MODELS) and options.keyed is None:
        inferred = model_of_micro(micro_operations(path, form))
        if inferred:
            transactions = read_foreign_transactions(path, form)
            return HistoryFile(form, options.model or inferred, transactions=transactions)
    foreign = read_file(path, form, options.keyed)
    if options.model and options.model not in KNOWN_MODELS:
        raise BadArguments(f"no model {options.model!r}; there are {', '.join(KNOWN_MODELS)}")
    try:
        model = options.model or model_of(foreign)
    except UnknownModel as problem:
        raise BadArguments(one_line(str(problem))) from problem
    if model in TRANSACTION_MODELS:
        return HistoryFile(form, model, foreign=foreign, transactions=transactions_of(foreign))
    return HistoryFile(form, model, foreign=foreign)


def _read_transactions(path: Path) -> HistoryFile:
    """Read a file of transactions in this project's format.

    If the reader of that format refuses a line, the file is read as plain JSON Lines instead, whose
    values may have any type. If both readers fail, the more precise of the two errors is raised.
    """
    try:
        form, transactions = TRANSACTIONS, read_transactions(path)
    except HistoryError as refused:
        try:
            form, transactions = JSON_LINES, read_foreign_transactions(path, JSON_LINES)
        except HistoryError:
            if str(refused).startswith(f"{path}:") and str(refused)[len(f"{path}:")].isdigit():
                raise refused from None
            raise
    if not transactions:
        raise HistoryError(f"{path} has no transaction of a client")
    return HistoryFile(form, "transactions", transactions=transactions)


def _checkers(file: HistoryFile, options: FileOptions) -> Mapping[str, Checker]:
    if file.history is not None:
        return _own_checkers(file.history, options)
    if not file.transactions:
        return foreign_checkers(file, options)
    if options.checkers not in ((), (NAME,)):
        raise BadArguments(f"--checker: only the checker {NAME!r} judges transactions")
    transactions, model = file.transactions, options.consistency or DEFAULT
    initial = initial_register(
        options.initial, file.form, of_lists=not of_registers(transactions),
        raw=file.form == TRANSACTIONS,
    )
    return {
        NAME: lambda _: check_transactions(transactions, model, initial),
        **_time_checkers(file, options),
    }


def _read_own(path: Path) -> History:
    history = History.read(path)
    if not history.operations:
        raise HistoryError(f"{path} has no operation of a client")
    return history


def _own_checkers(history: History, options: FileOptions) -> Mapping[str, Checker]:
    """Return the checkers for a history file of this project.

    They are the checkers that the user names. By default, they are all checkers that need no other
    files, without these two:
    - `budget` if the user gives no limits;
    - `mutual_exclusion` if clients fence their writes, because fenced writes are safe even if two
      clients hold the lock at the same time.
    """
    from splitbrain.checkers.catalogue import CHECKERS
    from splitbrain.checkers.coordination.lock import MUTUAL_EXCLUSION, has_fenced_writes

    if options.initial is not None:
        raise BadArguments("--initial: in a history of Splitbrain every key starts absent")
    if options.model:
        raise BadArguments(
            f"--model {options.model}: a history of Splitbrain is that of a key-value store; "
            "choose its checkers with --checker"
        )
    if options.checkers:
        return checkers_of(options.options, options.checkers)
    omitted = {*NOT_OF_A_FILE}
    if not options.options.budget:
        omitted.add("budget")
    if has_fenced_writes(history):
        omitted.add(MUTUAL_EXCLUSION)
    return {name: checker for name, checker in CHECKERS.items() if name not in omitted}


def read_file(path: Path, form: str, keyed: bool | None) -> Sequence[ForeignOperation]:
    """Read the operations in a file of another tool.

    `keyed` says whether every value is a pair [key, value]; None means that this is inferred from
    the values. The key of each pair is moved to `ForeignOperation.key`. Raises HistoryError if the
    file does not have the format `form`, or if `keyed` is True and a value is not a pair.
    """
    operations = read_foreign(path, form)
    with_key = sum(op.key != "" for op in operations)
    if with_key:
        if with_key < len(operations):
            bare = next(op for op in operations if op.key == "")
            raise HistoryError(
                f"{path}: event {bare.call} ({bare.f}) has no key, but {with_key} operations have: "
                "expected a key in all operations, or in none"
            )
        return operations
    if keyed is False:
        return operations
    if keyed and not all(_is_pair(op.argument) for op in operations):
        raise HistoryError(f"{path}: --keyed, but not every value is a pair [key, value]")
    return by_key(operations) if keyed or is_keyed(operations) else operations


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2


def foreign_checkers(file: HistoryFile, options: FileOptions) -> Mapping[str, Checker]:
    """Return the checkers for a history of another tool.

    They are the checkers that the user names; by default, all checkers of the history's model.
    Raises BadArguments if an operation, a checker or an option does not belong to the model.
    """
    model = MODELS[file.model]
    unknown = next((op for op in file.foreign if op.f not in model.functions), None)
    if unknown is not None:
        raise BadArguments(
            f"event {unknown.call} is {unknown.f!r}, which is no operation of the model "
            f"{file.model}: expected {', '.join(sorted(model.functions))}"
        )
    if options.consistency:
        raise BadArguments(
            f"--model {options.consistency}: only transactions have a consistency model; this "
            f"history has the model {file.model}"
        )
    for name in options.checkers:
        if name not in model.checkers:
            raise BadArguments(
                f"no checker {name!r} of {model.text}; there are {', '.join(model.checkers)}"
            )
    initial = initial_value(options.initial, file.form, file.model)
    limit_s = options.options.search_limit_s
    return {
        **{
            name: _bound(model.checkers[name], file.foreign, file.form, limit_s, initial)
            for name in options.checkers or tuple(model.checkers)
        },
        **_time_checkers(file, options),
    }


def _time_checkers(file: HistoryFile, options: FileOptions) -> Mapping[str, Checker]:
    """Return the checkers that judge the times of operations.

    Returns {} if the user names checkers, or if the history contains no times.
    """
    if options.checkers:
        return {}
    if has_times(file.foreign) or any(one.call_ns > 0 for one in file.transactions):
        return {"statistics": check_statistics} | (
            {"budget": check_budget} if options.options.budget else {}
        )
    if options.options.budget:
        why = "the history contains no times"
        return {"budget": lambda _: Verdict("budget", None, why=why)}
    return {}


def _bound(
    checker: LogChecker, operations: Sequence[ForeignOperation], form: str, limit_s: float,
    initial: Any,
) -> Checker:
    """Make a checker that applies `checker` to `operations`, whatever evidence it is given.

    `limit_s` limits the time of the search. `initial` is the value with which every object starts.
    """
    if checker is check_registers:
        # In the format jepsen-log, a failed compare-and-set is an answer: the value was
        # different. In other formats it only shows that the operation did not take effect.
        return lambda _: check_registers(
            operations, limit_s, failed_swap_reads=form == "jepsen-log", initial=initial
        )
    return lambda _: checker(operations, limit_s, initial=initial)
