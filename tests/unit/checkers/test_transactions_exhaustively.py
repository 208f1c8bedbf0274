"""The verdict of the checker `transactions` equals that of trying every serial order."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.checkers.transactions import check_transactions
from splitbrain.histories.transaction import Append, MicroOperation, Read, Transaction, Write
from tests.unit.checkers.serial_orders import has_serial_order, has_snapshot_order

KEYS = ("x", "y")
ORDERS = {
    "serializable": "",
    "strong-session-serializable": "process",
    "strict-serializable": "realtime",
}


def _timed(draw: Any, made: list[tuple[MicroOperation, ...]], uncertain: bool) -> list[Transaction]:
    """The transactions `made` with processes, and ends drawn so that they overlap, or not."""
    transactions = []
    open_now: list[int] = []
    begun: dict[int, int] = {}
    ended: dict[int, int] = {}
    process: dict[int, int] = {}
    at, fresh = 0, 0
    free: list[int] = []
    waiting = list(range(len(made)))
    info = {
        place for place in waiting if uncertain and draw(st.integers(0, 5)) == 0
    }
    while waiting or open_now:
        if waiting and (not open_now or (len(open_now) < 3 and draw(st.booleans()))):
            place = waiting.pop(0)
            begun[place] = at
            if free:
                process[place] = free.pop(0)
            else:
                process[place], fresh = fresh, fresh + 1
            open_now.append(place)
        else:
            place = open_now.pop(draw(st.integers(0, len(open_now) - 1)))
            if place not in info:
                ended[place] = at
                free.append(process[place])
        at += 1
    for place, operations in enumerate(made):
        transactions.append(Transaction(
            process[place], "info" if place in info else "ok", operations, begun[place],
            ended.get(place),
        ))
    return transactions


@st.composite
def list_histories(draw: Any) -> list[Transaction]:
    """Each read is a beginning of its key's final list, as the own appends before it allow; or
    now and then another. The last transaction reads all of it."""
    count = draw(st.integers(2, 4))
    shapes = [
        draw(st.lists(st.tuples(st.booleans(), st.sampled_from(KEYS)), min_size=1, max_size=3))
        for _ in range(count)
    ]
    element = 0
    appended: dict[str, list[tuple[int, int]]] = {key: [] for key in KEYS}
    for place, shape in enumerate(shapes):
        for number, (append, key) in enumerate(shape):
            if append:
                element += 1
                appended[key].append((element, place))
                shape[number] = (element, key)
    final = {key: [one for one, _ in draw(st.permutations(appended[key]))] for key in KEYS}
    for key in KEYS:
        if draw(st.integers(0, 4)) == 0 and final[key]:
            final[key].pop()
    made: list[tuple[MicroOperation, ...]] = []
    for shape in shapes:
        operations: list[MicroOperation] = []
        state: dict[str, tuple[int, ...]] = {}
        for append, key in shape:
            if append:
                operations.append(Append(key, append))
                if key in state:
                    state[key] = (*state[key], append)
                continue
            if key in state and draw(st.integers(0, 9)):
                held = state[key]
            else:
                own = [one.element for one in operations
                       if isinstance(one, Append) and one.key == key]
                least = max((final[key].index(one) + 1 for one in own if one in final[key]),
                            default=0)
                held = tuple(final[key][: draw(st.integers(least, len(final[key])))])
            state[key] = held
            operations.append(Read(key, held))
        made.append(tuple(operations))
    made.append(tuple(Read(key, tuple(final[key])) for key in KEYS))
    return _timed(draw, made, uncertain=True)


@st.composite
def register_histories(draw: Any) -> list[Transaction]:
    """Each read shows some value that was written, or none."""
    shapes = [
        draw(st.lists(st.tuples(st.booleans(), st.sampled_from(KEYS)), min_size=1, max_size=3))
        for _ in range(draw(st.integers(2, 5)))
    ]
    value = 0
    written: dict[str, list[int | None]] = {key: [None] for key in KEYS}
    made: list[tuple[MicroOperation, ...]] = []
    for shape in shapes:
        operations: list[MicroOperation] = []
        state: dict[str, int | None] = {}
        for write, key in shape:
            if write:
                value += 1
                written[key].append(value)
                state[key] = value
                operations.append(Write(key, value))
            else:
                if key not in state:
                    state[key] = draw(st.sampled_from(written[key]))
                operations.append(Read(key, state[key]))
        made.append(tuple(operations))
    order = draw(st.permutations(range(len(made))))
    return _timed(draw, [made[place] for place in order], uncertain=True)


@settings(max_examples=150, deadline=None)
@given(list_histories(), st.sampled_from(sorted(ORDERS)))
def test_lists_that_were_read_completely_are_valid_exactly_if_a_serial_order_exists(
    transactions: list[Transaction], model: str
) -> None:
    verdict = check_transactions(transactions, model)
    possible = has_serial_order(transactions, ORDERS[model])
    assert verdict.valid is expected_verdict(transactions, possible=possible), verdict


def expected_verdict(transactions: list[Transaction], *, possible: bool) -> bool | None:
    """True becomes None if no read succeeded, because nothing could have shown a violation."""
    reads = any(
        isinstance(made, Read) for one in transactions if one.outcome == "ok"
        for made in one.operations
    )
    return None if possible and not reads else possible


def all_was_seen(transactions: list[Transaction]) -> bool:
    """Of two elements that nobody saw it is not known which was first."""
    seen = {
        (made.key, element)
        for one in transactions if one.outcome == "ok"
        for made in one.operations
        if isinstance(made, Read) and isinstance(made.value, tuple)
        for element in made.value
    }
    return all(
        (made.key, made.element) in seen
        for one in transactions if one.outcome == "ok"
        for made in one.operations if isinstance(made, Append)
    )


@settings(max_examples=150, deadline=None)
@given(list_histories())
def test_lists_are_snapshot_isolated_exactly_if_some_order_of_commits_explains_them(
    transactions: list[Transaction],
) -> None:
    verdict = check_transactions(transactions, "snapshot-isolation")
    possible = has_snapshot_order(transactions)
    if verdict.valid is False or all_was_seen(transactions):
        assert verdict.valid is expected_verdict(transactions, possible=possible), verdict


@settings(max_examples=150, deadline=None)
@given(register_histories(), st.sampled_from(sorted(ORDERS)))
def test_registers_with_a_serial_order_are_never_invalid(
    transactions: list[Transaction], model: str
) -> None:
    verdict = check_transactions(transactions, model)
    if verdict.valid is False:
        assert not has_serial_order(transactions, ORDERS[model]), verdict
    else:
        assert verdict.valid is expected_verdict(transactions, possible=True)
