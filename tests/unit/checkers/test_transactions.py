"""The checker `transactions` finds anomalies in written histories and in corrupt generated ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.checkers.transactions import check_transactions
from splitbrain.checkers.transactions.models import (
    MODELS,
    contradicted,
    forbids,
    implied,
    model_named,
    order_of,
    weakest,
)
from splitbrain.checkers.verdict import Verdict
from splitbrain.harness.synthetic.transaction_corruptions import APPEND_CORRUPTIONS, corrupt_append
from splitbrain.harness.synthetic.transactions import generate_append
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.transactions import (
    is_transactions,
    read_transactions,
    write_transactions,
)
from splitbrain.histories.transaction import Read, Transaction
from tests.unit.checkers.transaction_notation import concurrent, one_after_another, transaction

SERIALIZABLE = "serializable"


def kinds(verdict: Verdict) -> list[str]:
    return sorted({one.kind for one in verdict.anomalies})


def of(transactions: list[Transaction], model: str = SERIALIZABLE) -> list[str]:
    verdict = check_transactions(transactions, model)
    reads = any(
        isinstance(made, Read) for one in transactions if one.outcome == "ok"
        for made in one.operations
    )
    assert verdict.valid is (False if verdict.anomalies else True if reads else None), verdict
    return kinds(verdict)


# What each history shows of lists. All at once, so that only what was read orders them.
LISTS = {
    "nothing": ((), []),
    "one append": (("ax1",), []),
    "an append and a read": (("ax1", "rx1"), []),
    "before, at and after an append": (("rx", "ax1", "rx1"), []),
    "two appends of which the order is known": (("ax2", "ax1", "rx12"), []),
    "the serializable history of Adya, Liskov and O'Neil": (
        ("az1ax1ay1", "rx1ay2", "ry12az3", "rz13"), [],
    ),
    "writes in opposite orders": (("ax1ay1", "ax2ay2", "rx12ry21"), ["G0"]),
    "each read what the other appended": (("ax1ry1", "ax2ay1", "rx12"), ["G1c"]),
    "before one append, after the other": (("rxry1", "ax1ay1"), ["G-single"]),
    "two appends read in opposite orders": (
        ("ax1", "ay1", "rx1ry", "rxry1"), ["G-nonadjacent"],
    ),
    "each appended to what the other read": (("rxay1", "ryax1", "rx1ry1"), ["G2-item"]),
    "the same without anybody who saw it": (("rxay1", "ryax1"), ["G2-item"]),
    "an uncertain read says nothing": (("ax2ry?", "ax1ay1", "rx12ry1"), []),
    "one that nobody saw came last": (("rx", "ax1"), []),
    "two that nobody saw came last, in either order": (("rx", "ax1", "ax2"), []),
    "after one that nobody saw another was seen": (("ax1ay1", "ax2ry", "rx2ry1"), ["G-single"]),
    "an uncertain append that nobody saw": (("rxay1", "ryax1?", "ry1"), []),
    "an uncertain append that somebody saw": (("rxay1", "ryax1?", "rx1ry1"), []),
    "aborted": (("ax1!", "rx1ax2"), ["G1a"]),
    "aborted, in the midst": (("ax1!", "rx12", "ax2"), ["G1a", "dirty-update"]),
    "aborted, then uncertain": (("ax1!", "ax2?", "rx12"), ["G1a"]),
    "intermediate": (("rx1", "rx12", "ax1ax2"), ["G-single", "G1b"]),
    "a transaction's own appends are no intermediate read": (("ax1rx1ax2",), []),
    "never appended": (("ax1", "rx12"), ["garbage-read"]),
    "twice": (("ax1", "ax2", "rx121"), ["duplicate-elements"]),
    "two orders": (("ax1", "ax2", "rx12", "rx21"), ["incompatible-order"]),
    "one lost": (("ax1", "ax2", "ax3", "rx12", "rx13"), ["incompatible-order"]),
    "another order than its own": (("ax1ax2", "rx21"), ["G1b", "incompatible-order"]),
    "a lost update": (("rxax1", "rxax2"), ["G2-item", "lost-update"]),
    "a lost update that was seen": (("rxax1", "rxax2", "rx12"), ["G-single", "lost-update"]),
    "read, then something else": (("ax2", "rxrx2"), ["internal"]),
    "its own append missing": (("ax1", "rx1ax3rx1"), ["internal"]),
    "more than its own append": (
        ("ax1", "ax4", "rx1ax3rx134"), ["internal"],
    ),
    "its own append is last": (("ax1", "ax3rx13"), []),
    "something after its own append": (("ax4", "ax3rx34"), ["internal"]),
    "read before it was appended": (("rx1ax1",), ["future-read"]),
    "read before its next append": (("ax1rx12ax2",), ["future-read", "internal"]),
}


@pytest.mark.parametrize("name", LISTS)
def test_histories_of_lists_show_their_anomaly(name: str) -> None:
    texts, expected = LISTS[name]
    assert of(concurrent(*texts)) == sorted(expected)


# Sessions and real time: (texts one after another, processes), and what each model finds.
ORDERED = {
    "a read too old": (("ax1", "rx"), (0, 1), "", "", "G-single-realtime"),
    "a session that does not see its append": (
        ("ax1", "rx"), (0, 0), "", "G-single-process", "G-single-process",
    ),
    "a session that goes back": (
        ("ax1", "rx1", "rx"), (0, 1, 1), "", "G-single-process", "G-single-process",
    ),
    "appends in another order than they were made": (
        ("ax1", "ax2", "rx21"), (0, 1, 2), "", "", "G0-realtime",
    ),
    "the same in a session": (
        ("ax1", "ax2", "rx21"), (0, 0, 2), "", "G0-process", "G0-process",
    ),
    "read before it was begun": (("rx1", "ax1"), (0, 1), "", "", "G1c-realtime"),
    "in order": (("ax1", "rx1", "ax2", "rx12"), (0, 1, 2, 3), "", "", ""),
}


@pytest.mark.parametrize("name", ORDERED)
def test_orders_of_transactions_show_their_anomaly(name: str) -> None:
    texts, processes, plain, session, strict = ORDERED[name]
    made = one_after_another(*texts, processes=processes)
    for model, expected in (
        ("serializable", plain), ("strong-session-serializable", session),
        ("strict-serializable", strict),
    ):
        assert of(made, model) == ([expected] if expected else [])


REGISTERS = {
    "nothing wrong": (("wx1", "r=x1"), []),
    "internal": (("r=x1wx2r=x1", "wx1"), ["internal"]),
    "absent, then there": (("r=xr=x2", "wx2"), ["internal"]),
    "aborted": (("wx2!", "r=x2"), ["G1a"]),
    "intermediate": (("r=x2", "wx2wx1"), ["G1b"]),
    "each read what the other wrote": (("wx1r=y1", "wy1r=x1"), ["G1c"]),
    "a chain on one register": (("r=x1wx2", "r=x2wx1"), ["G1c", "cyclic-versions"]),
    "before one write, after the other": (("r=xr=y1", "wx2wy1"), ["G-single"]),
    "writes follow reads": (("r=y1wx1wy2", "r=x1r=y1", "wy1"), ["G-single"]),
    "writes of which nobody knows the order": (("wx1wy2", "wx2wy1"), []),
    "a lost update": (("r=x3wx1", "r=x3wx2", "wx3"), ["G2-item", "lost-update"]),
    "each wrote what the other read": (("r=xwy1", "r=ywx1"), ["G2-item"]),
    "a value that was never written": (("r=x7", "r=x7wx1"), ["garbage-read"]),
    "two first states": (("r=x7", "r=x8"), ["garbage-read"]),
}


@pytest.mark.parametrize("name", REGISTERS)
def test_histories_of_registers_show_their_anomaly(name: str) -> None:
    texts, expected = REGISTERS[name]
    assert of(concurrent(*texts)) == sorted(expected)


def test_real_time_orders_the_versions_of_registers() -> None:
    old = one_after_another("wx1", "wx2", "r=x1")
    assert of(old, "serializable") == []
    assert of(old, "strict-serializable") != []
    assert of(one_after_another("wx1", "wx2", "r=x2"), "strict-serializable") == []
    crossed = one_after_another("wx1", "wx2", "r=x1", processes=(0, 0, 0))
    assert "cyclic-versions-process" in of(crossed, "strong-session-serializable")


def test_each_model_is_selected_by_name() -> None:
    skewed = concurrent("rxay1", "ryax1")
    assert [model for model in MODELS if of(skewed, model)] == [
        "strict-serializable", "strong-session-serializable", "serializable", "repeatable-read",
    ]
    allowed = check_transactions(skewed, "snapshot-isolation")
    assert allowed.valid is True
    assert "G2-item" in allowed.why
    assert allowed.counts["contradicted"] == "repeatable-read"
    assert model_named("PL-SI") == "snapshot-isolation"
    with pytest.raises(ValueError, match="did you mean serializable"):
        check_transactions([], "serialisable")


def test_parallel_snapshots_may_fork_and_not_be_torn() -> None:
    fork = concurrent("ax1", "ay1", "rx1ry", "rxry1")
    torn = concurrent("rxry1", "ax1ay1")
    assert check_transactions(fork, "parallel-snapshot-isolation").valid is True
    assert check_transactions(torn, "parallel-snapshot-isolation").valid is False


def test_models_follow_from_one_another() -> None:
    for model in MODELS:
        assert order_of(model) in ("", "process", "realtime")
        for weaker in implied(model):
            assert set(implied(weaker)) <= set(implied(model))
    assert weakest(contradicted(["G1a"])) == ("read-committed",)
    assert weakest(contradicted(["internal"])) == ("read-atomic",)
    assert set(weakest(contradicted(["lost-update"]))) == {"cursor-stability", "update-atomic"}
    assert contradicted(["G-single-realtime"]) == (
        "strict-serializable", "strong-snapshot-isolation",
    )
    assert not forbids("snapshot-isolation", "G2-item")
    assert forbids("snapshot-isolation", "G-nonadjacent")


def test_a_cycle_is_explained_in_words() -> None:
    made = concurrent("ax1ax2", "rx12ax3ay1", "rx12ry1")
    (found,) = check_transactions(made, SERIALIZABLE).anomalies
    assert found.kind == "G-single"
    assert "read x = [1 2] without 3, which T" in found.because
    assert "read y = [1], and T" in found.because
    steps = found.detail["cycle"]["steps"]
    assert {step["kind"] for step in steps} == {"rw", "wr"}
    assert steps[-1]["to"] == steps[0]["from"]
    assert found.events == (1, 2, 4, 5)


def test_the_shortest_cycle_is_shown() -> None:
    made = concurrent("rxay1", "ryaz1", "rzax1", "rtau1", "ruat1")
    cycles = [one.detail["cycle"] for one in check_transactions(made, SERIALIZABLE).anomalies]
    assert sorted(len(one["steps"]) for one in cycles) == [2, 3]


def test_what_cannot_be_judged_is_unknown() -> None:
    assert check_transactions(concurrent("ax1", "ax1")).valid is None
    assert check_transactions(concurrent("wx1", "wx1")).valid is None
    assert check_transactions(concurrent("ax1", "wx2")).valid is None


@pytest.mark.parametrize("seed", range(3))
def test_generated_histories_are_valid(seed: int) -> None:
    for registers in (False, True):
        made = generate_append(2000, 16, uncertain=0.05, seed=seed, registers=registers)
        assert check_transactions(made).valid is True


@pytest.mark.parametrize("kind", APPEND_CORRUPTIONS)
def test_corrupted_histories_show_the_anomaly(kind: str) -> None:
    for seed in range(3):
        corrupted = corrupt_append(generate_append(1500, 8, seed=seed), kind, seed)
        assert corrupted is not None
        verdict = check_transactions(corrupted)
        assert verdict.valid is False
        found = {one.kind for one in verdict.anomalies}
        wanted = APPEND_CORRUPTIONS[kind][2]
        assert any(one == wanted or _worse(one, wanted) for one in found), (found, wanted)


def _worse(one: str, other: str) -> bool:
    return set(contradicted([one])) > set(contradicted([other]))


def test_written_transactions_are_read_back(tmp_path: Path) -> None:
    for registers in (False, True):
        made = generate_append(300, 5, uncertain=0.1, seed=4, registers=registers)
        path = tmp_path / f"{registers}.jsonl"
        write_transactions(path, made)
        read = read_transactions(path)
        assert [(one.invoked, one.returned, one.outcome, one.operations) for one in read] == [
            (one.invoked, one.returned, one.outcome, one.operations) for one in made
        ]
        assert is_transactions(path.read_bytes().split(b"\n")[0])


BROKEN = {
    '{"index":0,"process":0,"type":"invoke","value":[["add","x",1]]}\n': "is not a transaction",
    '{"index":0,"process":0,"type":"ok","value":[["r","x",[1]]]}\n': "without an invocation",
    '{"index":0,"process":0,"type":"invoke","value":[]}\n'
    '{"index":1,"process":0,"type":"invoke","value":[]}\n': "still pending",
    '{"index":0}\n': "1: not an event",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_of_another_kind_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(text)
    with pytest.raises(HistoryError, match=BROKEN[text]):
        read_transactions(path)


def test_a_last_line_cut_short_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(
        '{"index":0,"process":0,"type":"invoke","value":[["append","x",1]]}\n'
        '{"index":1,"process":0,"type":"ok","val'
    )
    (one,) = read_transactions(path)
    assert (one.outcome, one.returned) == ("info", None)


def test_long_real_time_between_two_transactions_hides_no_cycle() -> None:
    """A stale read a thousand transactions later: a large component, and a cycle of two."""
    made = [transaction("ax1", 0, 1, 0)]
    made += [transaction("ry", 2 * place, 2 * place + 1, place) for place in range(1, 1000)]
    made.append(transaction("rx", 2000, 2001, 1001))
    (found,) = check_transactions(made, "strict-serializable").anomalies
    assert found.kind == "G-single-realtime"
    assert len(found.detail["cycle"]["steps"]) == 2
