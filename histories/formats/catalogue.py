"""Formats of histories by name, and which one a file has, told from its content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.event import Event
from splitbrain.histories.formats.foreign_operation import (
    LoggedEvent,
    LoggedOperation,
    logged_operation,
    paired,
)
from splitbrain.histories.formats.jepsen_edn import is_jepsen_edn, read_jepsen_edn
from splitbrain.histories.formats.jepsen_log import is_jepsen_log, read_jepsen_log
from splitbrain.histories.formats.jepsen_text import is_jepsen_text, read_jepsen_text
from splitbrain.histories.formats.jepsen_transactions import names_of, read_jepsen_transactions
from splitbrain.histories.formats.json_lines import is_json_lines, read_json_lines
from splitbrain.histories.formats.porcupine_kv import is_porcupine_kv, read_porcupine_kv
from splitbrain.histories.formats.transactions import is_transactions
from splitbrain.histories.service import AnyRequest
from splitbrain.histories.transaction import Transaction

OWN = "splitbrain"
TRANSACTIONS = "transactions"
BEGINNING_BYTES = 64 * 1024
LINES_LOOKED_AT = 20
LOOKED_AT = 2_000


@dataclass(frozen=True, slots=True)
class Format:
    """`recognises` is given the beginning of a file, cut after a line where there is one."""

    says: str
    recognises: Callable[[str], bool]
    read: Callable[[Path], list[LoggedOperation]]
    events: Callable[[Path], Iterator[LoggedEvent]] | None = None
    """Of formats that may hold transactions: their events one by one."""


def _some_line(matches: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda text: any(matches(line) for line in text.splitlines()[:LINES_LOOKED_AT])


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


def _is_own(text: str) -> bool:
    """Our own events, whose values are requests of a store; faults alone say nothing."""
    requests: msgspec.json.Decoder[AnyRequest] = msgspec.json.Decoder(AnyRequest)
    for line in text.splitlines():
        try:
            event = msgspec.json.decode(line, type=Event)
            if event.process != "nemesis":
                requests.decode(event.value)
                return event.type == "invoke"
        except msgspec.MsgspecError:
            return False
    return '"fault"' in text


def _read_elsewhere(path: Path) -> list[LoggedOperation]:
    raise ValueError(
        f"{path}: read by splitbrain.histories.reader or "
        "splitbrain.histories.formats.transactions"
    )


FORMATS: Mapping[str, Format] = {
    OWN: Format("history.jsonl of a run of ours", _is_own, _read_elsewhere),
    TRANSACTIONS: Format(
        "JSON Lines of transactions, as `splitbrain generate` writes them",
        lambda text: is_transactions(_first_line(text)), _read_elsewhere,
    ),
    "json-lines": Format(
        "plain JSON Lines, see docs/reference/history-format.md",
        lambda text: is_json_lines(_first_line(text).encode()),
        lambda path: paired(read_json_lines(path), str(path)), read_json_lines,
    ),
    "porcupine-kv": Format(
        "porcupine's key-value logs", lambda text: is_porcupine_kv(_first_line(text)),
        read_porcupine_kv,
    ),
    "jepsen-edn": Format(
        "Jepsen's history.edn", is_jepsen_edn,
        lambda path: paired(read_jepsen_edn(path), str(path)), read_jepsen_edn,
    ),
    "jepsen-text": Format(
        "Jepsen's history.txt", lambda text: is_jepsen_text(_first_line(text)),
        lambda path: paired(read_jepsen_text(path), str(path)), read_jepsen_text,
    ),
    "jepsen-log": Format(
        "log lines of a Jepsen register test, as in porcupine's test data",
        _some_line(is_jepsen_log), read_jepsen_log,
    ),
}


def format_of(path: Path) -> str:
    """The name of the format that `path` has, by its content. Raises HistoryError if none."""
    try:
        with path.open("rb") as file:
            beginning = file.read(BEGINNING_BYTES)
            beginning += file.readline(BEGINNING_BYTES)
    except OSError as problem:
        raise HistoryError(f"{path} cannot be read: {problem.strerror}") from problem
    if not beginning.strip():
        raise HistoryError(f"{path} is empty; expected a history")
    try:
        text = beginning.decode()
    except UnicodeDecodeError as problem:
        text = ""
        if len(beginning) - problem.start > 3 or b"\0" in beginning:
            raise HistoryError(f"{path} is no text{_hint(beginning)}") from problem
    if "\0" in text:
        raise HistoryError(f"{path} is no text{_hint(beginning)}")
    for name, known in FORMATS.items():
        if known.recognises(text):
            return name
    raise HistoryError(
        f"{path} is not a history of a known format (first line: {_first_line(text)[:80]!r}); "
        f"known are {', '.join(FORMATS)}; --format insists on one"
    )


def _hint(beginning: bytes) -> str:
    if beginning.startswith(b"JEPSEN"):
        return ": it is Jepsen's test.jepsen; give the history.edn beside it"
    if beginning.startswith(b"\x1f\x8b"):
        return ": it is compressed; unpack it with gunzip first"
    return "; expected a history, one event a line"


def read_logged(path: Path, name: str) -> list[LoggedOperation]:
    """The operations of `path`, a file of the format `name` of others.

    Raises HistoryError where it is none, KeyError for an unknown name.
    """
    known = FORMATS[name]
    with _named(path):
        operations = known.read(path)
    if not operations:
        raise HistoryError(f"{path} has no operation of a client; expected {known.says}")
    return operations


def micro_operations(path: Path, name: str) -> tuple[str, ...]:
    """Which of append, r and w the first events of `path` have in their transactions; () if it
    is no history of transactions, or one with mistakes."""
    read = FORMATS[name].events
    if read is None:
        return ()
    try:
        invocations = (event for event in read(path) if event.type == "invoke" and event.f == "txn")
        return names_of(logged_operation(event, None) for event in islice(invocations, LOOKED_AT))
    except (HistoryError, UnicodeDecodeError, OSError):
        return ()


def read_logged_transactions(path: Path, name: str) -> list[Transaction]:
    """The transactions of `path`, of which `micro_operations` found some. Raises HistoryError."""
    read = FORMATS[name].events
    assert read is not None
    with _named(path):
        return read_jepsen_transactions(read(path), str(path))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as problem:
        raise HistoryError(f"{path} is no UTF-8 text: {problem}") from problem
    except OSError as problem:
        raise HistoryError(f"{path} cannot be read: {problem.strerror}") from problem
