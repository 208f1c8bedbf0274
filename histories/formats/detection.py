"""Lists the formats of histories by name, and detects the format of a file."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import (
    ForeignEvent,
    ForeignOperation,
    foreign_operation,
    pair_operations,
)
from splitbrain.histories.formats.jepsen_edn import is_jepsen_edn, read_jepsen_edn
from splitbrain.histories.formats.jepsen_log import is_jepsen_log, read_jepsen_log
from splitbrain.histories.formats.jepsen_text import is_jepsen_text, read_jepsen_text
from splitbrain.histories.formats.jepsen_transactions import (
    micro_operation_names,
    read_jepsen_transactions,
)
from splitbrain.histories.formats.json_lines import is_json_lines, read_json_lines
from splitbrain.histories.formats.porcupine_kv import is_porcupine_kv, read_porcupine_kv
from splitbrain.histories.formats.transactions import is_transactions
from splitbrain.histories.transaction import Transaction

OWN = "splitbrain"
TRANSACTIONS = "transactions"
JSON_LINES = "json-lines"
BEGINNING_BYTES = 64 * 1024
SAMPLE_LINES = 20
SAMPLE_OPERATIONS = 2_000


@dataclass(frozen=True, slots=True)
class Format:
    """A format of histories: its description for messages, and its readers."""

    description: str
    recognises: Callable[[str], bool]
    """Returns whether a file has the format. The argument is the beginning of the file, up to the
    end of a line if there is one."""
    read: Callable[[Path], list[ForeignOperation]]
    events: Callable[[Path], Iterator[ForeignEvent]] | None = None
    """Reads the events one by one. None if the format cannot contain transactions."""


def _some_line(matches: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda text: any(matches(line) for line in text.splitlines()[:SAMPLE_LINES])


def _every_line(matches: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda text: all(matches(line) for line in text.splitlines() if line.strip())


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


class _Sample(msgspec.Struct):
    """The fields of an event that show whether this project wrote the history."""

    process: int | str
    type: str
    value: msgspec.Raw = msgspec.Raw(b"null")


class _Request(msgspec.Struct):
    op: str


def _is_own(text: str) -> bool:
    """Return whether this project wrote the history that begins with `text`.

    In such a history, the first event of a client is an invocation whose value has a field `op`.
    """
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            event = msgspec.json.decode(line, type=_Sample)
            if event.process != "nemesis":
                msgspec.json.decode(event.value, type=_Request)
                return event.type == "invoke"
        except msgspec.MsgspecError:
            return False
    return '"fault"' in text


def _not_foreign(path: Path) -> list[ForeignOperation]:
    raise ValueError(
        f"{path} has a format of Splitbrain's own: read it with "
        "splitbrain.histories.history.History.read or "
        "splitbrain.histories.formats.transactions.read_transactions"
    )


FORMATS: Mapping[str, Format] = {
    OWN: Format("history.jsonl of a Splitbrain run", _is_own, _not_foreign),
    TRANSACTIONS: Format(
        "JSON Lines of transactions, as `splitbrain generate` writes them",
        lambda text: is_transactions(_first_line(text)), _not_foreign,
    ),
    JSON_LINES: Format(
        "plain JSON Lines, see docs/reference/history-format.md",
        is_json_lines,
        lambda path: pair_operations(read_json_lines(path), str(path)), read_json_lines,
    ),
    "porcupine-kv": Format(
        "porcupine's key-value logs", _every_line(is_porcupine_kv), read_porcupine_kv,
    ),
    "jepsen-edn": Format(
        "Jepsen's history.edn", is_jepsen_edn,
        lambda path: pair_operations(read_jepsen_edn(path), str(path)), read_jepsen_edn,
    ),
    "jepsen-text": Format(
        "Jepsen's history.txt", lambda text: is_jepsen_text(_first_line(text)),
        lambda path: pair_operations(read_jepsen_text(path), str(path)), read_jepsen_text,
    ),
    "jepsen-log": Format(
        "log lines of a Jepsen register test, as in porcupine's test data",
        _some_line(is_jepsen_log), read_jepsen_log,
    ),
}


def format_of(path: Path) -> str:
    """Return the name of the format of `path`, detected from its content.

    Raises HistoryError if the file cannot be read, or has no known format.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(BEGINNING_BYTES)
            beginning += file.readline(BEGINNING_BYTES)
    except HistoryError:
        raise
    except RecursionError as problem:
        raise HistoryError(
            f"{path} contains values that are nested too deeply: expected at most a few hundred "
            "levels"
        ) from problem
    except OSError as problem:
        raise HistoryError(f"{path} cannot be read: {problem.strerror or problem}") from problem
    except ValueError as problem:
        raise HistoryError(f"{path} contains a value that cannot be read: {problem}") from problem
    beginning = beginning.removeprefix(BOM_UTF8)
    if not beginning.strip():
        raise HistoryError(f"{path} is empty: expected a history with at least one event")
    try:
        text = beginning.decode()
    except UnicodeDecodeError as problem:
        text = ""
        if len(beginning) - problem.start > 3 or b"\0" in beginning:
            raise HistoryError(f"{path} is not a text file{_hint(beginning)}") from problem
    if "\0" in text:
        raise HistoryError(f"{path} is not a text file{_hint(beginning)}")
    with _errors_with_path(path):
        for name, known in FORMATS.items():
            if known.recognises(text):
                return name
    raise HistoryError(
        f"{path} is not a history of a known format (first line: {_first_line(text)[:80]!r}). "
        f"The known formats are {', '.join(FORMATS)}; --format selects one, whose reader then "
        "reports the first line that is wrong"
    )


def _hint(beginning: bytes) -> str:
    if beginning.startswith(b"JEPSEN"):
        return ": it is Jepsen's test.jepsen. Pass the history.edn of the same folder instead"
    if beginning.startswith(b"\x1f\x8b"):
        return ": it is compressed. Decompress it with gunzip first"
    return ": expected a history with one event on each line"


def read_foreign(path: Path, name: str) -> list[ForeignOperation]:
    """Return the operations of the file `path`, which has the format `name` of another tool.

    Raises HistoryError if the file does not have that format, and KeyError for an unknown name.
    """
    known = FORMATS[name]
    with _errors_with_path(path):
        operations = known.read(path)
    if not operations:
        raise HistoryError(
            f"{path} contains no operation of a client: expected {known.description}"
        )
    return operations


def micro_operations(path: Path, name: str) -> tuple[str, ...]:
    """Return which of append, r and w occur in the first transactions of the file `path`.

    `name` is the name of the file's format. The result is () if the file contains no transactions,
    or if its beginning cannot be read. It is also () for the two formats of this project, whose
    files are not read event by event.
    """
    read = FORMATS[name].events
    if read is None:
        return ()
    try:
        invocations = (event for event in read(path) if event.type == "invoke" and event.f == "txn")
        sample = islice(invocations, SAMPLE_OPERATIONS)
        return micro_operation_names(foreign_operation(event, None) for event in sample)
    except (ValueError, RecursionError, OSError):
        return ()


def read_foreign_transactions(path: Path, name: str) -> list[Transaction]:
    """Return the transactions of the file `path`, which has the format `name` of another tool.

    The file must contain transactions: `micro_operations` must return at least one name. Raises
    HistoryError for a line that is not valid.
    """
    read = FORMATS[name].events
    assert read is not None
    with _errors_with_path(path):
        return read_jepsen_transactions(read(path), str(path))


@contextmanager
def _errors_with_path(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as problem:
        raise HistoryError(f"{path} is not UTF-8 text: {problem}") from problem
    except OSError as problem:
        raise HistoryError(f"{path} cannot be read: {problem.strerror or problem}") from problem
