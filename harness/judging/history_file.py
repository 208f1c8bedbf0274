"""Judging a file that holds a history: ours without its run, or somebody else's."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
from splitbrain.checkers.verdict import Verdict
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.judging.judge import (
    INTERRUPTED,
    JudgingObserver,
    checkers_of,
    judge_evidence,
    merged,
)
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.store.run_folder import HISTORY, RunFolder
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.catalogue import (
    FORMATS,
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
"""Checkers that a bare history gives nothing to judge: asked only by name."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How a file is to be judged; what is empty or None is told from the file."""

    form: str = ""
    """A name of `splitbrain.histories.formats.catalogue.FORMATS`."""
    model: str = ""
    """A name of `KNOWN_MODELS`."""
    consistency: str = ""
    """What is asked of transactions: a name of `splitbrain.checkers.transactions.MODELS`."""
    checkers: tuple[str, ...] = ()
    keyed: bool | None = None
    """Whether values are pairs [key, value]."""
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a file holds: `history` if it is ours, with the `members`' states that stand beside
    it, `logged` if somebody else's; what of it are transactions stands in `transactions`."""

    form: str
    model: str
    history: History | None = None
    logged: Sequence[ForeignOperation] = ()
    transactions: Sequence[Transaction] = ()
    members: tuple[MemberState, ...] = ()

    def __len__(self) -> int:
        """How many operations it has."""
        return len(self.history.operations if self.history else self.logged or self.transactions)


@dataclass(frozen=True, slots=True)
class Checked:
    """A judged file."""

    recorded: Recorded
    verdicts: tuple[Verdict, ...]
    read_s: float
    judged_s: float

    @property
    def valid(self) -> bool | None:
        """Unknown where no checker had anything to judge."""
        applying = [verdict for verdict in self.verdicts if verdict.applies]
        return merged(applying)


def models_named(names: Sequence[str]) -> tuple[str, str]:
    """Of names given as models, the one of a model and the one of a consistency of
    transactions, "" for none. Raises BadArguments."""
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
                f"no model {name!r}; there are {', '.join(KNOWN_MODELS)}; of transactions: "
                f"{problem}"
            ) from None
    return model, consistency


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
    if RunFolder(path).record.exists():
        return None
    for name in ("history.edn", "history.txt", HISTORY):
        if (path / name).is_file():
            return path / name
    raise BadArguments(
        f"{path} is not the folder of a run: no run.json, history.edn, history.txt or "
        "history.jsonl in it"
    )


def check_file(path: Path, asked: Asked, watch: JudgingObserver) -> Checked:
    """Judge the history in the file `path`. Raises BadArguments for what cannot be judged."""
    began = time.perf_counter()
    try:
        form = asked.form or format_of(path)
        if form not in FORMATS:
            raise BadArguments(f"no format {form!r}; there are {', '.join(FORMATS)}")
        watch.show(f"reading {path.name}")
        with collector_paused():
            read = _read(path, form, asked)
            history = read.history or _timed(read)
        checkers = _checkers(read, asked)
    except HistoryError as problem:
        raise BadArguments(str(problem)) from problem
    except KeyboardInterrupt:
        watch.interrupted = True
        unread = Verdict("reading", None, why=INTERRUPTED)
        return Checked(Recorded(asked.form, ""), (unread,), time.perf_counter() - began, 0.0)
    done = time.perf_counter()
    evidence = Evidence(
        history,
        read.members,
        search_limit_s=asked.options.search_limit_s,
        budget=read_limits(asked.options.budget),
        consistency=asked.consistency or DEFAULT,
    )
    with collector_paused():
        verdicts = judge_evidence(evidence, checkers, watch)
    return Checked(read, verdicts, done - began, time.perf_counter() - done)


def _timed(read: Recorded) -> History:
    if read.transactions:
        return timed_transactions(read.transactions)
    return timed_history(read.logged)


def _read(path: Path, form: str, asked: Asked) -> Recorded:
    if form == OWN:
        return Recorded(form, "", history=_own(path), members=read_members(path))
    if form == TRANSACTIONS:
        transactions = read_transactions(path)
        if not transactions:
            raise HistoryError(f"{path} has no transaction of a client")
        return Recorded(form, "transactions", transactions=transactions)
    if asked.model in ("", *TRANSACTION_MODELS) and asked.keyed is None:
        made = model_of_micro(micro_operations(path, form))
        if made:
            transactions = read_foreign_transactions(path, form)
            return Recorded(form, asked.model or made, transactions=transactions)
    logged = read_file(path, form, asked.keyed)
    if asked.model and asked.model not in KNOWN_MODELS:
        raise BadArguments(f"no model {asked.model!r}; there are {', '.join(KNOWN_MODELS)}")
    try:
        model = asked.model or model_of(logged)
    except UnknownModel as problem:
        raise BadArguments(str(problem)) from problem
    if model in TRANSACTION_MODELS:
        return Recorded(form, model, logged=logged, transactions=transactions_of(logged))
    return Recorded(form, model, logged=logged)


def _checkers(read: Recorded, asked: Asked) -> Mapping[str, Checker]:
    if read.history is not None:
        return _own_checkers(read.history, asked)
    if not read.transactions:
        return log_checkers(read, asked)
    if asked.checkers not in ((), (NAME,)):
        raise BadArguments(f"--checker: transactions are judged by {NAME!r} alone")
    transactions, model = read.transactions, asked.consistency or DEFAULT
    return {NAME: lambda _: check_transactions(transactions, model), **_of_times(read, asked)}


def _own(path: Path) -> History:
    history = History.read(path)
    if not history.operations:
        raise HistoryError(f"{path} has no operation of a client")
    return history


def _own_checkers(history: History, asked: Asked) -> Mapping[str, Checker]:
    """All that a bare history of ours gives something to judge, or those asked for. Locks whose
    holders fence their writes need exclude nobody."""
    from splitbrain.checkers.catalogue import CHECKERS
    from splitbrain.checkers.coordination.lock import MUTUAL_EXCLUSION, has_fenced_writes

    if asked.model:
        raise BadArguments(
            f"--model {asked.model}: a history of ours is of the key-value store; --checker "
            "chooses among its checkers"
        )
    if asked.checkers:
        return checkers_of(asked.options, asked.checkers)
    beyond = {*NOT_OF_A_FILE}
    if not asked.options.budget:
        beyond.add("budget")
    if has_fenced_writes(history):
        beyond.add(MUTUAL_EXCLUSION)
    return {name: checker for name, checker in CHECKERS.items() if name not in beyond}


def read_file(path: Path, form: str, keyed: bool | None) -> Sequence[ForeignOperation]:
    """Operations of a file of somebody else's, with their keys apart if they have any.

    Raises HistoryError where it is no history of the format `form`.
    """
    logged = read_foreign(path, form)
    if form == "porcupine-kv" or keyed is False:
        return logged
    if keyed and not all(_is_pair(op.argument) for op in logged):
        raise HistoryError(f"{path}: --keyed, but not every value is a pair [key, value]")
    return by_key(logged) if keyed or is_keyed(logged) else logged


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2


def log_checkers(read: Recorded, asked: Asked) -> Mapping[str, Checker]:
    """The checkers of the model, for somebody else's history."""
    model = MODELS[read.model]
    strange = next((op for op in read.logged if op.f not in model.functions), None)
    if strange is not None:
        raise BadArguments(
            f"event {strange.call} is {strange.f!r}, which is no operation of the model "
            f"{read.model}: expected {', '.join(sorted(model.functions))}"
        )
    if asked.consistency:
        raise BadArguments(
            f"the history is of the model {read.model}; {asked.consistency} is asked of "
            "transactions alone"
        )
    for wanted in asked.checkers:
        if wanted not in model.checkers:
            raise BadArguments(
                f"no checker {wanted!r} of {model.text}; there are {', '.join(model.checkers)}"
            )
    return {
        **{
            one: _bound(model.checkers[one], read.logged, read.form, asked.options.search_limit_s)
            for one in asked.checkers or tuple(model.checkers)
        },
        **_of_times(read, asked),
    }


def _of_times(read: Recorded, asked: Asked) -> Mapping[str, Checker]:
    """What judges times, where they were written down."""
    if asked.checkers:
        return {}
    if has_times(read.logged) or any(one.call_ns > 0 for one in read.transactions):
        return {"statistics": check_statistics} | (
            {"budget": check_budget} if asked.options.budget else {}
        )
    if asked.options.budget:
        why = "no times are written down"
        return {"budget": lambda _: Verdict("budget", None, why=why)}
    return {}


def _bound(
    checker: LogChecker, logged: Sequence[ForeignOperation], form: str, limit_s: float
) -> Checker:
    if checker is check_registers:
        # These logs tell a swap's failure as an answer; elsewhere it did not happen.
        return lambda _: check_registers(logged, limit_s, failed_swap_reads=form == "jepsen-log")
    return lambda _: checker(logged, limit_s)
