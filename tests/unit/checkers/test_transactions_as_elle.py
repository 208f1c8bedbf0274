"""The checker `transactions` contradicts the same consistency models as Elle in small histories.

Elle is Jepsen's checker of cycles. `AT_ONCE` and the other tables contain the models that Elle
reports as contradicted. If Elle has other names for the kinds of a cycle (`-item`), the models are
still the same.
"""

from __future__ import annotations

import pytest

from splitbrain.checkers.transactions import check_transactions
from splitbrain.histories.transaction import Append, MicroOperation, Read, Transaction
from tests.unit.checkers.transaction_notation import concurrent, one_after_another, transaction

ITEMS = {"consistent-view", "repeatable-read"}
APART = {"snapshot-isolation", "repeatable-read"}

AT_ONCE = {
    "G0": (("ax1ay1", "ax2ay2", "rx12ry21"), {"read-uncommitted"}),
    "G1a": (("ax1!", "rx1"), {"read-committed"}),
    "G1b": (("ax1ax2", "rx1"), {"read-committed"}),
    "G1c": (("ax1ry1", "ax2ay1", "rx12ry1"), {"read-committed"}),
    "G-single by ww": (("ax1ay1", "ax2ry", "rx12"), ITEMS),
    "G-single by wr": (("ax1ay1", "rx1ry"), ITEMS),
    "G2-item": (("ax1ry", "ay1rx"), {"repeatable-read"}),
    "G-nonadjacent": (("ax1", "rx1ry", "ay1", "ry1rx"), APART),
    "G-nonadjacent over four keys": (("ax1at1", "rx1ry", "ay1az2", "rz2rt"), APART),
    "what looks like a ring and is none": (
        ("rx5ay1", "ryaz2", "rzat3", "rt3au4", "ruax5"), set(),
    ),
    "snapshot isolation without G-single": (
        ("ax2", "ay1rx", "rzryax5", "az2rx2"), {"repeatable-read"},
    ),
    "a dirty update": (("ax1!", "ax2", "rx12"), {"read-committed"}),
    "a dirty update behind an uncertain one": (
        ("ax1!", "ax2?", "ax3", "rx123"), {"read-committed"},
    ),
    "an element twice": (("ax1ry1", "ax2ay1", "rx121"), {"read-uncommitted"}),
    "its own append in the midst of another's": (("ax1ax2ax4", "ax3rx1234"), {"read-uncommitted"}),
    "an append that nobody saw": (("ax1ay1", "ax2ay2", "ax3ay3", "rx12", "ry2"), {
        "read-uncommitted",
    }),
    "a lost update": (("ax1", "rx1ax2", "rx1ax3"), {"update-atomic", "cursor-stability"}),
    "one transaction appends twice to what it read": (("rxax1ax2", "rx12"), set()),
    "orders that contradict one another": (
        ("ax1ry1", "ax2", "ax3ay1", "rx13", "rx123"), {"read-committed"},
    ),
    "a transaction reads its future": (("rx1ax1",), {"read-committed"}),
}


def contradicted(transactions: list[Transaction], model: str) -> set[str]:
    told_models = check_transactions(transactions, model).counts.get("contradicted", "")
    return set(told_models.split(", ")) - {""}


@pytest.mark.parametrize("name", AT_ONCE)
def test_transactions_contradict(name: str) -> None:
    texts, models = AT_ONCE[name]
    assert contradicted(concurrent(*texts), "serializable") == models


IN_ORDER = {
    "strong snapshot isolation": (
        one_after_another("ax1", "ax2", "rx1", "rx12"), {"strong-snapshot-isolation"},
    ),
    "strong session snapshot isolation": (
        one_after_another("ax1", "ax2", "rx1", "rx12", processes=(0, 1, 1, 2)),
        {"strong-session-snapshot-isolation"},
    ),
    "a session between two anti-dependencies": (
        one_after_another("rxrz1", "ax1", "rz", "az1", processes=(0, 1, 1, 2)),
        {"strong-session-snapshot-isolation"},
    ),
    "a session among what it read": (
        one_after_another("rx1ay1", "ry1", "ax1", processes=(1, 2, 2)),
        {"strong-session-read-committed"},
    ),
}


@pytest.mark.parametrize("name", IN_ORDER)
def test_sessions_and_real_time_contradict(name: str) -> None:
    transactions, models = IN_ORDER[name]
    assert contradicted(transactions, "serializable") == set()
    asked = "strong-session-serializable" if "session" in name else "strict-serializable"
    assert contradicted(transactions, asked) == models


def test_a_cycle_with_one_rw_is_found_among_thousands_with_two() -> None:
    """A ring of appends with one read that misses its first, and chains off it that close by
    two anti-dependencies each."""
    length, chain = 300, 12
    made: list[tuple[Append | Read, ...]] = []
    for place in range(length):
        last: Append | Read = Append(f"k{place}", 0)
        if place == 0:
            last = Append("missed", 1)
        elif place == length - 1:
            last = Read("missed", ())
        made.append((Append("ring", place), last))
    made.append((Read("ring", tuple(range(length))),))
    for place in range(1, length - 1):
        for link in range(1, chain - 1):
            made.append((Append(f"k{place}", link),))
        made.append((Read(f"k{place}", tuple(range(chain - 1))), Read(f"m{place}", ())))
        made.append((Append(f"m{place}", 1), Read("ring", ())))
    transactions = [
        Transaction(place, "ok", operations, place, len(made) + place)
        for place, operations in enumerate(made)
    ]
    verdict = check_transactions(transactions, "snapshot-isolation")
    assert verdict.valid is False
    assert verdict.anomalies[0].kind == "G-single"


def test_an_uncertain_transaction_has_no_end() -> None:
    made = [
        transaction("ax1", 0, None, 0, "info"),
        transaction("rx", 2, 3, 1),
        transaction("rx1", 4, 5, 1),
    ]
    assert check_transactions(made).valid is True


@pytest.mark.parametrize("texts", [("ax1", "rx", "rx1"), ("wx1", "r=x", "r=x1")])
def test_a_process_that_goes_on_after_an_uncertain_transaction_puts_it_in_no_order(
    texts: tuple[str, ...],
) -> None:
    uncertain, before, after = texts
    transactions = [
        transaction(uncertain, 0, None, outcome="info"),
        transaction(before, 1, 2),
        transaction(after, 3, 4, process=1),
    ]
    assert check_transactions(transactions, "strict-serializable").valid is True
    # Two that ended stay in order, whatever lies between.
    backwards = [
        transaction(after, 0, 1), transaction(uncertain.replace("1", "2"), 2, None, outcome="info"),
        transaction(before, 3, 4), transaction(uncertain, 5, 6, process=1),
    ]
    assert check_transactions(backwards, "strong-session-serializable").valid is False


@pytest.mark.parametrize("place", range(0, 300, 37))
def test_the_one_cycle_with_one_rw_is_found_in_a_circle_of_many(place: int) -> None:
    """A ring in which each transaction misses what the next appends, whose append the one
    after it reads: of its 300 edges rw only one is answered by a way back without any."""
    made: list[list[MicroOperation]] = [[] for _ in range(600)]
    for number in range(300):
        misses, appends, follows = 2 * number, 2 * number + 1, (2 * number + 2) % 600
        made[misses].append(Read(f"k{number}", ()))
        made[appends] += [Append(f"k{number}", 1), Append(f"m{number}", 1)]
        made[follows].append(Read(f"m{number}", (1,)))
    ring = [Transaction(n, "ok", tuple(one), n, 1000 + n) for n, one in enumerate(made)]
    assert check_transactions(ring, "consistent-view").valid is True
    made[2 * place + 1].append(Append("s", 1))
    made[2 * place].append(Read("s", (1,)))
    ring = [Transaction(n, "ok", tuple(one), n, 1000 + n) for n, one in enumerate(made)]
    verdict = check_transactions(ring, "consistent-view")
    assert verdict.valid is False
    assert {one.kind for one in verdict.anomalies} == {"G-single"}
