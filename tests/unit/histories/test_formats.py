"""Histories in the formats of other tools: detection, reading, writing and errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats import jepsen_edn
from splitbrain.histories.formats.detection import FORMATS, format_of, read_foreign
from splitbrain.histories.formats.edn import read_edn, write_edn
from splitbrain.histories.formats.foreign_operation import (
    ForeignEvent,
    ForeignOperation,
    Kind,
    Outcome,
    by_key,
    is_keyed,
    pair_operations,
)
from splitbrain.histories.formats.jepsen_edn import quick_rows, write_jepsen_edn
from splitbrain.histories.formats.jepsen_transactions import micro_operation_names, transactions_of
from splitbrain.histories.transaction import Append, Read, Transaction, Write

REGISTER = """\
{:type :invoke, :f :write, :value 3, :process 0, :time 1000, :index 0}
{:type :invoke, :f :read, :value nil, :process 1, :time 2000, :index 1}
{:type :info, :f :start-partition, :value "cut off \\"n1\\"", :process :nemesis, :time 2500, :index 2}
{:type :ok, :f :write, :value 3, :process 0, :time 3000, :index 3}
{:type :ok, :f :read, :value 3, :process 1, :time 4000, :index 4}
{:type :invoke, :f :cas, :value [3 4], :process 0, :time 5000, :index 5}
{:type :info, :f :cas, :value [3 4], :process 0, :time 6000, :error [:timeout "n1"], :index 6}
"""  # noqa: E501
TEXT = """\
0\t:invoke\t:write\t3
1\t:invoke\t:read\tnil
:nemesis\t:info\t:start-partition\t"cut off"
0\t:ok\t:write\t3
1\t:ok\t:read\t3
0\t:invoke\t:cas\t[3 4]
0\t:info\t:cas\t[3 4]\t[:timeout "n1"]
"""
LINES = """\
{"process": 0, "type": "invoke", "f": "write", "value": 3}
{"process": 1, "type": "invoke", "f": "read"}
{"process": "nemesis", "type": "info", "f": "start-partition", "value": "cut off"}
{"process": 0, "type": "ok", "f": "write", "value": 3}
{"process": 1, "type": "ok", "f": "read", "value": 3}

{"process": 0, "type": "invoke", "f": "cas", "value": [3, 4]}
{"process": 0, "type": "info", "f": "cas", "error": [":timeout", "n1"]}
"""


def written(folder: Path, text: str, name: str = "history") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def fields_of(ops: list[ForeignOperation]) -> list[tuple[object, ...]]:
    return [(op.process, op.f, op.argument, op.outcome, op.answer, op.call, op.ret) for op in ops]


@pytest.mark.parametrize(("text", "name"), [
    (REGISTER, "jepsen-edn"),
    ("[" + REGISTER + "]", "jepsen-edn"),
    (REGISTER.replace("{:type", "#jepsen.history.Op{:type"), "jepsen-edn"),
    ("; a comment\n(" + REGISTER.replace(", :", "\n :") + ")", "jepsen-edn"),
    (TEXT, "jepsen-text"),
    (LINES, "json-lines"),
])
def test_each_format_is_detected_from_its_content_and_gives_the_same_operations(
    tmp_path: Path, text: str, name: str
) -> None:
    path = written(tmp_path, text)
    assert format_of(path) == name
    ops = read_foreign(path, name)
    assert fields_of(ops) == [
        (0, "write", 3, "ok", 3, 0, 3),
        (1, "read", None, "ok", 3, 1, 4),
        (0, "cas", [3, 4], "info", None, 5, None),
    ]
    assert ops[2].error
    assert "timeout" in ops[2].error


def test_the_times_in_the_file_are_read(tmp_path: Path) -> None:
    ops = read_foreign(written(tmp_path, REGISTER), "jepsen-edn")
    assert [(op.call_ns, op.ended_ns) for op in ops] == [(1000, 3000), (2000, 4000), (5000, 6000)]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.sampled_from([":r", ":append"])
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


ERRORS = st.none() | st.text(min_size=1, max_size=4)


@st.composite
def logs(draw: st.DrawFn) -> list[ForeignOperation]:
    """Events of a few processes, each with one pending operation at a time."""
    events = []
    pending: dict[int, str] = {}
    for place in range(draw(st.integers(1, 12))):
        process = draw(st.integers(0, 3))
        kind: Kind
        if process in pending:
            kind = draw(st.sampled_from(["ok", "fail", "info"]))
            f = pending.pop(process)
        else:
            kind = "invoke"
            f = pending[process] = draw(st.sampled_from(["txn", "read", "start-it"]))
        error = draw(ERRORS) if kind in ("fail", "info") else None
        events.append(ForeignEvent(
            place, process, kind, f, draw(VALUES), place * 10, error, None, place + 1
        ))
    return pair_operations(events, "generated")


def known(op: ForeignOperation) -> tuple[object, ...]:
    return (op.process, op.f, op.key, op.argument, op.outcome, op.answer, op.call, op.ret,
            op.ended, op.call_ns, op.ended_ns, op.error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(logs())
def test_operations_written_as_edn_are_read_back(
    tmp_path: Path, ops: list[ForeignOperation]
) -> None:
    path = written(tmp_path, "".join(f"{line}\n" for line in write_jepsen_edn(ops)))
    assert format_of(path) == "jepsen-edn"
    assert [known(op) for op in read_foreign(path, "jepsen-edn")] == [known(op) for op in ops]


@given(st.lists(logs(), min_size=1, max_size=3))
def test_the_fast_reader_returns_the_same_as_the_reader_of_forms(
    logs_of_operations: list[list[ForeignOperation]],
) -> None:
    lines = [line for ops in logs_of_operations for line in write_jepsen_edn(ops)]
    rows = quick_rows("".join(f"{line}\n" for line in lines).encode())
    if rows is not None:
        quick = [dict(zip(row[::2], row[1::2], strict=True)) for row in rows]
        assert quick == [read_edn(line) for line in lines]


def test_the_fast_reader_reads_a_typical_line() -> None:
    assert quick_rows(
        b"{:index 0, :time 7, :type :ok, :process 1, :f :txn, :value [[:append 9 1] [:r 8 nil]]}\n"
    ) == [[":index", 0, ":time", 7, ":type", ":ok", ":process", 1, ":f", ":txn", ":value",
           [[":append", 9, 1], [":r", 8, None]]]]


def test_a_form_that_spans_several_blocks_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jepsen_edn, "BLOCK_BYTES", 64)
    path = written(tmp_path, "(" + REGISTER.replace(", :process", "\n :process") + ")")
    assert len(read_foreign(path, "jepsen-edn")) == 3
    path = written(tmp_path, REGISTER)
    assert len(read_foreign(path, "jepsen-edn")) == 3


def test_values_that_are_pairs_are_detected_as_keyed() -> None:
    def op(
        f: str, argument: object, answer: object = None, outcome: Outcome = "ok"
    ) -> ForeignOperation:
        return ForeignOperation(0, f, "", argument, outcome, answer, 0, 1)

    ops = [op("write", [7, 1], [7, 1]), op("read", [7, None], [7, 1]), op("cas", [8, [1, 2]])]
    assert is_keyed(ops)
    assert [(o.key, o.argument, o.answer) for o in by_key(ops)] == [
        (7, 1, 1), (7, None, 1), (8, [1, 2], None),
    ]
    assert not is_keyed([op("cas", [1, 2])])
    assert not is_keyed([op("write", [7, 1]), op("read", None, 1)])
    assert not is_keyed([op("txn", [["r", 1, None], ["r", 2, None]])])


def test_transactions_are_read_from_their_vectors() -> None:
    argument = [[":append", 1, 5], [":r", 2, None], ["w", "k", 3]]
    answer = [[":append", 1, 5], [":r", 2, [4]], ["w", "k", 3]]
    ops = [
        ForeignOperation(0, "txn", "", argument, "ok", answer, 0, 1, 1, 10, 20),
        ForeignOperation(1, "txn", "", argument, "info", None, 2, None),
    ]
    assert micro_operation_names(ops) == ("append", "r", "w")
    assert transactions_of(ops) == [
        Transaction(0, "ok", (Append(1, 5), Read(2, (4,)), Write("k", 3)), 0, 1, 10, 20),
        Transaction(1, "info", (Append(1, 5), Read(2, None), Write("k", 3)), 2, None, -1, None),
    ]


@pytest.mark.parametrize(("text", "message"), [
    ("", "is empty"),
    ("   \n\n", "is empty"),
    ("hello\n", "not a history of a known format"),
    ("\x00\x01\x02\x03", "is not a text file"),
    ('{"process": 0}\n', "not a history of a known format"),
])
def test_a_file_that_is_not_a_history_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(HistoryError, match=message):
        format_of(written(tmp_path, text))


def test_the_error_for_jepsens_binary_file_names_the_file_to_pass(tmp_path: Path) -> None:
    path = tmp_path / "test.jepsen"
    path.write_bytes(b"JEPSEN\x00\x00\xff\xfe")
    with pytest.raises(HistoryError, match=r"history\.edn"):
        format_of(path)


@pytest.mark.parametrize(("name", "text", "message"), [
    ("jepsen-edn", REGISTER[:-30], ":7: .*cut short"),
    ("jepsen-edn", REGISTER.replace(":type :ok", ":type :done", 1), ":4: :type is :done"),
    ("jepsen-edn", REGISTER.replace(":process 1, :time 4000", ":time 4000"), "has no :process"),
    ("jepsen-edn", REGISTER.replace("[3 4]", "[3 4", 1), "not valid EDN|expected|cut short"),
    ("jepsen-edn", "{:type :ok, :f :read, :process 3, :value 1}\n", "process 3 completes read"),
    ("jepsen-edn", "{:type :invoke, :f :read, :process 3}\n" * 2, ":2: process 3 invokes read"),
    ("jepsen-edn", '{:type :info, :f :start, :process :nemesis}\n', "no operation of a client"),
    ("jepsen-edn", "42\n", "is not an operation"),
    ("jepsen-text", TEXT + "what\n", ":8: 'what"),
    ("jepsen-text", TEXT.replace("[3 4]", "[3 4"), ":6: not valid EDN"),
    ("json-lines", LINES[:-5], "cut short"),
    ("json-lines", LINES.replace('"ok"', '"yes"', 1), ":4: not an event"),
    ("jepsen-log", "INFO  jepsen.util - 3\t:invoke\t:write\tfoo\n", ":1: 'foo' is not a value"),
    ("porcupine-kv", "{:process 0}\n", ":1: .*not a line of porcupine's"),
])
def test_the_error_for_an_invalid_file_contains_the_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(HistoryError, match=message):
        read_foreign(written(tmp_path, text), name)


def test_every_format_has_a_description() -> None:
    assert all(form.description for form in FORMATS.values())


def test_control_characters_are_written_as_escapes() -> None:
    assert write_edn("a\0\x1b\n") == '"a\\u0000\\u001b\\n"'
    assert read_edn(write_edn("a\0\x1b\n\x7f")) == "a\0\x1b\n\x7f"
