"""`splitbrain check` judges small files of other tools, and refuses files that are not valid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splitbrain.harness.cli.main import run_main
from splitbrain.histories.formats.edn import write_edn

DATA = Path(__file__).parents[2] / "data"
VALID, INVALID, UNKNOWN, REFUSED = 0, 1, 2, 254

FILES: list[tuple[str, tuple[str, ...], int, str]] = [
    ("reported/kv-with-times.edn", (), VALID, "jepsen-edn, kv: 3 operations"),
    ("reported/register-with-key-field.edn", (), VALID, "register: 3 operations"),
    ("reported/kv-blank-last-line.edn", (), UNKNOWN, "no get was answered"),
    ("reported/set-number-read-as-text.edn", (), INVALID, 'shows "1", which no operation added'),
    ("reported/set-text-lost-beside-number.jsonl", (), INVALID, 'lost: "1", known since'),
    ("reported/queue-type-changed.jsonl", (), INVALID, 'returned "1", which no operation had put'),
    ("reported/register-float-from-int.edn", (), INVALID, "read -> 42.0"),
    ("reported/nothing-succeeded-queue.edn", (), UNKNOWN, "no dequeue and no drain was answered"),
    ("reported/nothing-succeeded-register.edn", (), UNKNOWN, "nothing could have shown a viol"),
    ("reported/nothing-succeeded-set.edn", (), UNKNOWN, "no read of a set was answered"),
    ("reported/register-without-reads.edn", (), UNKNOWN, "nothing could have shown a violation"),
    ("reported/only-empty-transactions.edn", (), UNKNOWN, "no completed transaction read"),
    ("reported/register-starts-at-zero.edn", (), INVALID, "read -> 0"),
    ("reported/register-starts-at-zero.edn", ("--initial", "0"), VALID, "cas-register"),
    ("reported/edn-comment-in-vector.edn", (), UNKNOWN, "jepsen-edn, register: 1 operation"),
    ("reported/edn-byte-order-mark.edn", (), UNKNOWN, "jepsen-edn, register: 1 operation"),
    ("reported/json-array.json", (), VALID, "json-lines, set: 2 operations"),
    ("reported/wrong-operation-blamed.jsonl", (), INVALID,
     "The first answer that does not fit is that of n1 to process 3 at 0.000 s, get r -> 'd'"),
    ("cases/deep-nesting.jsonl", (), REFUSED, "nested too deeply"),
    ("cases/integer-of-5000-digits.edn", (), REFUSED, ":1: not valid EDN: a number of 5,000"),
    ("cases/all-indexes-zero.jsonl", (), REFUSED, ":2: the index is 0 after 0: expected indexes"),
    ("cases/value-field-misspelt.jsonl", (), REFUSED, ":1: not an event: Object contains unknown"),
    ("cases/true-read-as-one.jsonl", (), INVALID, "read -> true"),
    ("cases/nil-process.edn", (), REFUSED, ":3: the process is nil: expected a number"),
    ("cases/garbage-read-register.jsonl", (), INVALID, "garbage-read: "),
    ("cases/delete-of-absent-key-deleted-one.jsonl", ("--checker", "linearizable"), INVALID,
     "delete b -> it existed"),
    ("cases/ok-with-fewer-micro-operations.jsonl", (), REFUSED, ":2: "),
]


@pytest.mark.parametrize(("name", "options", "code", "part"), FILES)
def test_a_small_file_gets_its_verdict(
    capsys: pytest.CaptureFixture[str], name: str, options: tuple[str, ...], code: int, part: str
) -> None:
    assert run_main(["check", str(DATA / name), *options]) == code
    printed = capsys.readouterr()
    assert part in (printed.err if code == REFUSED else printed.out)
    if code == REFUSED:
        assert printed.err.startswith("Error: ")
        assert printed.err.count("\n") == 1


def test_every_small_file_is_in_the_table() -> None:
    files = {
        str(path.relative_to(DATA))
        for path in DATA.glob("*/*") if path.suffix in (".edn", ".json", ".jsonl")
    }
    assert files == {name for name, *_ in FILES}


def lines(*events: dict[str, Any]) -> str:
    return "".join(f"{json.dumps({'process': 0, **event})}\n" for event in events)


def ok(f: str, argument: Any, answer: Any = None, **fields: Any) -> list[dict[str, Any]]:
    """Return the two events of an operation that completed."""
    invoke = {"type": "invoke", "f": f, "value": argument, **fields}
    return [invoke, {"type": "ok", "f": f, "value": argument if answer is None else answer}]


def edn(events: list[dict[str, Any]]) -> str:
    keyword = ("type", "f")
    return "".join(
        write_edn({
            f":{name}": f":{value}" if name in keyword else value
            for name, value in {"process": 0, **event}.items()
        }) + "\n"
        for event in events
    )


REGISTER = [*ok("write", 1), *ok("read", None, 1)]
EDN = edn(REGISTER)
TEXTS: list[tuple[str, str, int, str]] = [
    ("a queue without elements", lines({"type": "invoke", "f": "enqueue", "value": 1},
                                       {"type": "fail", "f": "enqueue", "value": 1},
                                       *ok("dequeue", None)), UNKNOWN, "no enqueue succeeded"),
    ("a set without elements", lines({"type": "invoke", "f": "add", "value": 1},
                                     {"type": "fail", "f": "add", "value": 1},
                                     *ok("read", None, [])), UNKNOWN, "no add succeeded"),
    ("discard before", "#_ {:a [1 2]} #_#_ 3 4\n" + EDN, VALID, "jepsen-edn"),
    ("discard before a vector", "#_ 1 [" + EDN + "]", VALID, "jepsen-edn"),
    ("comments, mark and a list", "\ufeff; one\n\n ; two\n(" + EDN + ")", VALID, "jepsen-edn"),
    ("mark before JSON Lines", "\ufeff" + lines(*REGISTER), VALID, "json-lines"),
    ("blank lines in JSON Lines", "\n \n" + lines(*REGISTER) + "\n", VALID, "json-lines"),
    ("an array on one line", json.dumps([{"process": 0, **one} for one in REGISTER]), VALID,
     "json-lines"),
    ("nested types", lines(*ok("write", [1, {"a": 1, "b": 2}]),
                           *ok("read", None, [1, {"b": 2, "a": True}])), INVALID, '"a": true'),
    ("equal numbers in maps", lines(*ok("write", [1, {"a": 1, "b": 2}]),
                                    *ok("read", None, [1.0, {"b": 2.0, "a": 1}])), VALID, ""),
    ("a keyword is no string", EDN.replace(":value 1", ":value :a", 2).replace(
        ":value 1", ':value ":a"'), INVALID, 'read -> ":a"'),
    ("a symbol is no string", EDN.replace(":value 1", ":value a", 2).replace(
        ":value 1", ':value "a"'), INVALID, "read -> a"),
    ("a set has no order", EDN.replace(":value 1", ":value #{1 2}", 2).replace(
        ":value 1", ":value #{2 1}"), VALID, ""),
    ("a decimal is no float", EDN.replace(":value 1", ":value 2.5M", 2).replace(
        ":value 1", ":value 2.5"), INVALID, "read -> 2.5"),
    ("equal ratios", EDN.replace(":value 1", ":value 2/4", 2).replace(
        ":value 1", ":value 1/2"), VALID, ""),
    ("keys of different types", lines(*ok("write", 1, key=1), *ok("read", None, 1, key="1")),
     INVALID, "read"),
    ("a float index", EDN.replace("{", "{:index 1.5 ", 1), REFUSED, ":1: :index is 1.5"),
    ("an index again", EDN.replace("{", "{:index 3 "), REFUSED, ":2: the index is 3 after 3"),
    ("a misspelt field", EDN.replace(":value", ":valeu"), REFUSED,
     ":1: :valeu is not a field of an operation: expected :value"),
    ("a field of the test's own", EDN.replace(":value", ":attempt 3 :value"), VALID, ""),
    ("a read without a value", lines(*ok("write", 1), {"type": "invoke", "f": "read"},
                                     {"type": "ok", "f": "read"}), REFUSED, ":4: the completion"),
    ("a process that is text", lines(*REGISTER).replace('"process": 0', '"process": "0"'),
     REFUSED, ":1: the process is '0': expected a number"),
    ("a client with a name", lines(*REGISTER).replace('"process": 0', '"process": "c0"'),
     REFUSED, ":1: the process 'c0' has an event of the type invoke"),
    ("a completion of another function", lines(ok("write", 1)[0], ok("read", 1)[1]), REFUSED,
     ":2: process 0 completes an operation with the function read: expected write"),
    ("a key in some operations", lines(*ok("write", 1, key="a"), *ok("read", None, 1)), REFUSED,
     "(read) has no key, but 1 operations have"),
    ("the same key twice in a map", "{:process 0 :type :invoke :f :read :f :write}\n", REFUSED,
     ":1: a map with the same key twice"),
    ("half a surrogate pair", EDN.replace(":value 1", r':value "\ud800"'), REFUSED,
     "half a surrogate pair"),
    ("discards without end", "#_" * 5000, REFUSED, "not a history"),
    ("deep EDN", "{:process 0, :type :invoke, :f :write, :value " + "[" * 5000, REFUSED,
     "nested deeper than 200"),
    ("a decimal without limit", EDN.replace(":value 1", ":value 1e999999999999999999999M"),
     REFUSED, "too large"),
    ("text in a counter", lines(*ok("add", 1), *ok("read", None, "1")), INVALID,
     'returned "1", which is not a whole number'),
    ("one id", lines(*ok("generate", None, 7)), UNKNOWN, "1 ids were generated"),
    ("ids of two types", lines(*ok("generate", None, 1), *ok("generate", None, "1")), VALID, ""),
    ("equal ids in JSON", lines(*ok("generate", None, 1), *ok("generate", None, 1.0)), INVALID, ""),
    ("a lock without a release", lines(*ok("acquire", "x")), UNKNOWN, "no lock was released"),
    ("an own history without success", json.dumps(
        {"index": 0, "time": 0, "process": 0, "type": "invoke", "f": "get",
         "value": {"op": "range", "key": "a"}}) + "\n", UNKNOWN, "no operation succeeded"),
    ("an own history with a misspelt field", json.dumps(
        {"index": 0, "time": 0, "process": 0, "type": "invoke", "f": "put",
         "value": {"op": "put", "key": "a", "valeu": "1"}}) + "\n", REFUSED, "valeu"),
    ("other transactions' element", lines(*ok("txn", [["append", "x", 1]]), *ok(
        "txn", [["r", "x", None]], [["r", "x", ["1"]]])), INVALID, "garbage-read"),
    ("an extra element", lines(*ok("txn", [["append", "x", 1, 2]])), REFUSED, "4 elements where"),
]


@pytest.mark.parametrize(("name", "text", "code", "part"), TEXTS, ids=[row[0] for row in TEXTS])
def test_a_text_gets_its_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, code: int, part: str
) -> None:
    path = tmp_path / "history"
    path.write_text(text)
    got = run_main(["check", str(path)])
    printed = capsys.readouterr()
    assert got == code, printed
    assert part in (printed.err if code == REFUSED else printed.out)
    assert printed.err.count("\n") == (code == REFUSED)


INITIAL: list[tuple[list[dict[str, Any]], str, int]] = [
    (ok("get", None, "x", key="a"), '"x"', VALID),
    ([*ok("append", "y", key="a"), *ok("get", None, "xy", key="a")], '"x"', VALID),
    (ok("get", None, "x", key="a"), '"y"', INVALID),
    (ok("get", None, "x", key="a"), "1", REFUSED),
    ([*ok("add", 2), *ok("read", None, 5)], "3", VALID),
    ([*ok("add", 2), *ok("read", None, 2)], "3", INVALID),
    ([*ok("add", 2), *ok("read", None, 2)], "true", REFUSED),
    ([*ok("add", 2), *ok("read", None, [1, 2])], "[1]", VALID),
    ([*ok("add", 2), *ok("read", None, [2])], "[1]", INVALID),
    ([*ok("enqueue", 2), *ok("dequeue", None, 1), *ok("dequeue", None, 2)], "[1]", VALID),
    ([*ok("acquire", None), *ok("release", None)], "true", INVALID),
    (ok("release", None), "true", VALID),
    ([*ok("generate", None, 1), *ok("generate", None, 2)], "1", REFUSED),
    ([*ok("txn", [["r", "x", None]], [["r", "x", 0]]), *ok("txn", [["w", "x", 1]])], "0", VALID),
    ([*ok("txn", [["r", "x", None]], [["r", "x", []]]), *ok("txn", [["append", "x", 1]])], "0",
     REFUSED),
    (REGISTER, "nonsense", REFUSED),
]


@pytest.mark.parametrize(("events", "value", "code"), INITIAL)
def test_objects_start_with_the_initial_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], events: list[dict[str, Any]], value: str,
    code: int,
) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(lines(*events))
    assert run_main(["check", str(path), "--initial", value]) == code, capsys.readouterr()


def test_the_consistency_model_of_transactions_is_an_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skew = [
        {"process": 0, "type": "invoke", "f": "txn", "value": [["append", 1, 1], ["r", 2, None]]},
        {"process": 1, "type": "invoke", "f": "txn", "value": [["append", 2, 1], ["r", 1, None]]},
        {"process": 0, "type": "ok", "f": "txn", "value": [["append", 1, 1], ["r", 2, []]]},
        {"process": 1, "type": "ok", "f": "txn", "value": [["append", 2, 1], ["r", 1, []]]},
        *({"process": 0, **one} for one in ok(
            "txn", [["r", 1, None], ["r", 2, None]], [["r", 1, [1]], ["r", 2, [1]]])),
    ]
    path = tmp_path / "history.jsonl"
    path.write_text(lines(*skew))
    check = ["check", str(path), "--consistency-model"]
    assert run_main([*check, "serializable"]) == INVALID
    assert run_main([*check, "snapshot-isolation"]) == VALID
    assert run_main([*check, "snapshot"]) == REFUSED
    assert run_main([*check, "serializable", "--model", "snapshot-isolation"]) == REFUSED
    capsys.readouterr()


# --- values of every type, in every model ----------------------------------------------

MODELS = (
    "register", "cas-register", "kv", "set", "counter", "unique-ids", "queue", "list-append",
    "rw-register",
)


@st.composite
def histories(draw: st.DrawFn, model: str) -> list[dict[str, Any]]:
    """Return small valid histories of one process, whose last operation reads the number 1."""
    others = draw(st.lists(st.integers(2, 9), unique=True, max_size=4))
    events: list[dict[str, Any]] = []
    match model:
        case "register" | "cas-register":
            for value in others:
                events += [*ok("write", value), *ok("read", None, value)]
            last = others[-1] if others else 0
            events += ok("write", last)
            events += ok("cas", [last, 1]) if model == "cas-register" else ok("write", 1)
            return events + ok("read", None, 1)
        case "kv":
            for value in others:
                events += [*ok("put", value, key="a"), *ok("get", None, value, key="a")]
            return [*events, *ok("put", 1, key="a"), *ok("get", None, 1, key="a")]
        case "set":
            for value in (*others, 1):
                events += ok("add", value)
            return [*events, *ok("read", None, [*others, 1])]
        case "counter":
            for value in others:
                events += [*ok("add", value), *ok("add", -value)]
            return [*events, *ok("add", 1), *ok("read", None, 1)]
        case "unique-ids":
            for value in others:
                events += ok("generate", None, value)
            return [*events, *ok("generate", None, -1), *ok("generate", None, 1)]
        case "queue":
            for value in others:
                events += [*ok("enqueue", value), *ok("dequeue", None, value)]
            return [*events, *ok("enqueue", 1), *ok("dequeue", None, 1)]
        case "list-append":
            for value in (*others, 1):
                events += ok("txn", [["append", 5, value]])
            return [*events, *ok("txn", [["r", 5, None]], [["r", 5, [*others, 1]]])]
    for value in (*others, 1):
        events += ok("txn", [["w", 5, value]])
    return [*events, *ok("txn", [["r", 5, None]], [["r", 5, 1]])]


def changed(events: list[dict[str, Any]], value: Any) -> list[dict[str, Any]]:
    """Return a copy of `events` whose last answer contains `value` in place of 1."""
    last = json.loads(json.dumps(events[-1]["value"]))
    target = last
    if last == 1:
        return [*events[:-1], {**events[-1], "value": value}]
    while isinstance(target[-1], list):
        target = target[-1]
    target[-1] = value
    return [*events[:-1], {**events[-1], "value": last}]


def verdict(folder: Path, text: str, *options: str) -> int:
    path = folder / "history"
    path.write_text(text)
    return run_main(["check", str(path), *options])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("value", [1, "1", True, 1.0])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=5,
          deadline=None)
@given(data=st.data())
def test_a_value_of_another_type_is_another_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, value: Any, data: st.DataObject
) -> None:
    events = data.draw(histories(model))
    read = changed(events, value)
    if model == "unique-ids":  # Two ids are equal only if they have the same type.
        read = [*read, *ok("generate", None, 1)]
    options = ("--model", model)
    same_in_json = not isinstance(value, bool) and value == 1
    same_in_edn = same_in_json and isinstance(value, int)
    for text, same in ((lines(*read), same_in_json), (edn(read), same_in_edn)):
        wrong = same if model == "unique-ids" else not same
        assert verdict(tmp_path, text, *options) == (INVALID if wrong else VALID), text
    capsys.readouterr()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60,
          deadline=None)
@given(data=st.data(), model=st.sampled_from(MODELS))
def test_a_damaged_file_never_gives_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: st.DataObject, model: str
) -> None:
    events = data.draw(histories(model))
    whole = data.draw(st.sampled_from([lines(*events), edn(events), json.dumps(events)])).encode()
    at = data.draw(st.integers(0, len(whole)))
    rest = data.draw(st.integers(at, len(whole)))
    path = tmp_path / "history"
    path.write_bytes(whole[:at] + data.draw(st.binary(max_size=6)) + whole[rest:])
    code = run_main(["check", str(path), *data.draw(st.sampled_from([(), ("--model", model)]))])
    printed = capsys.readouterr()
    assert code in (VALID, INVALID, UNKNOWN, REFUSED), printed.err
    assert "Traceback" not in printed.err
    assert printed.err.count("\n") == (code == REFUSED)


FORMATS = ("splitbrain", "transactions", "json-lines", "porcupine-kv", "jepsen-edn",
           "jepsen-text", "jepsen-log")


def garbage() -> st.SearchStrategy[bytes]:
    pieces = st.sampled_from([
        b"{", b"}", b"[", b"]", b"#_", b"#{", b'"', b":process 0", b":type :invoke", b":f :read",
        b'{"process":0,"type":"ok"', b"\n", b"\t", b"\\u00", b"1e9999", b"0\t:invoke\t:read\tnil",
        b"##NaN", b"nil", b"\xff", b"\xef\xbb\xbf", b"; x\n",
    ])
    return st.lists(pieces | st.binary(max_size=3), max_size=12).map(b" ".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=120,
          deadline=None)
@given(content=garbage(), form=st.sampled_from(("", *FORMATS)))
def test_garbage_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, form: str
) -> None:
    path = tmp_path / "history"
    path.write_bytes(content)
    code = run_main(["check", str(path), *(("--format", form) if form else ())])
    printed = capsys.readouterr()
    assert code in (UNKNOWN, REFUSED), printed
    assert printed.err.count("\n") == (code == REFUSED), printed.err
