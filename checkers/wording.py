"""Formats operations, changes and times for the messages of checkers."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Compact, Compare, Delete, KeyValue, Put, Range, Request, Txn
from splitbrain.histories.member_state import Change
from splitbrain.histories.service_operation import ServiceOperation


def seconds(ns: int) -> str:
    """Format a time: `3.200 s`."""
    return f"{ns / 1e9:.3f} s"


def together(count: int) -> str:
    """Return `this operation`, or `these 3 operations together`."""
    return "this operation" if count == 1 else f"these {count} operations together"


VALUE_SHOWN = 60
"""A message shortens a value that has more characters than this."""


def value(text: str) -> str:
    """Format a value: `'40'`. A long value is shown by its beginning and its length."""
    if len(text) <= VALUE_SHOWN:
        return repr(text)
    return f"{text[: VALUE_SHOWN // 2]!r}… ({len(text):,} characters)"


def node(op: Operation) -> str:
    """Return the name of the member, such as `n2`, or `process 3` if the member is unknown."""
    return op.node or f"process {op.process}"


def key_value(held: KeyValue) -> str:
    """Describe a key-value: `r1='40' (create 3, mod 5, version 2)`."""
    lease = f", lease {held.lease}" if held.lease else ""
    return (
        f"{held.key}={value(held.value)} (create {held.create_revision}, mod {held.mod_revision}, "
        f"version {held.version}{lease})"
    )


def first_difference(one: str, other: str) -> str:
    """Describe where two different texts begin to differ: `from character 40 on: 'a', not 'b'`."""
    at = next(
        (n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
        min(len(one), len(other)),
    )
    return f"from character {at} on: {one[at : at + 20]!r}, not {other[at : at + 20]!r}"


LISTED_MAX = 3
"""A message lists this many comparisons and operations of a transaction."""


def request(given: Request) -> str:
    """Describe a request: `put r1='40'`, `get r1`, `range [a, c)`, `compact 7`.

    A transaction is described with its comparisons and operations:
    `txn (if version of r1 = 0: put r1='40'; else: get r1)`.
    """
    match given:
        case Put(key, ignore_value=True):
            return f"put {key} (keeping its value)"
        case Put(key, written):
            kept = " (keeping its lease)" if given.ignore_lease else ""
            return f"put {key}={value(written)}{kept}"
        case Range(key, end):
            if end == "\0" and key in ("", "\0"):
                return "read of all" + _options(given)
            return f"get {key}" if not end else f"range {interval(key, end)}{_options(given)}"
        case Delete(key, end):
            return f"delete {interval(key, end)}"
        case Txn():
            return _transaction(given)
        case Compact(revision):
            return f"compact {revision}"


def interval(key: str, end: str) -> str:
    """Describe an interval: `[a, c)`, `[a, ∞)`, or `a` if there is no `end`."""
    return f"[{key}, {'∞' if end == chr(0) else end})" if end else key


def _options(given: Range) -> str:
    """Describe the options of a range that change its answer: ` (limit 3, keys only)`."""
    target = {"create": "create revision", "mod": "mod revision"}.get(given.sort_by, given.sort_by)
    order = f"sorted by {target or 'key'}" if target or given.descend else ""
    options = [
        f"limit {given.limit}" if given.limit else "",
        "keys only" if given.keys_only else "",
        "count only" if given.count_only else "",
        f"{order}, descending" if given.descend else order,
        *bounds(given),
    ]
    shown = ", ".join(option for option in options if option)
    return f" ({shown})" if shown else ""


def bounds(given: Range) -> list[str]:
    """Describe the bounds of revisions of a range: `mod revision at most 40`."""
    return [
        f"{name} revision at {side} {bound}"
        for name, side, bound in (
            ("mod", "least", given.min_mod), ("mod", "most", given.max_mod),
            ("create", "least", given.min_create), ("create", "most", given.max_create),
        )
        if bound
    ]


def comparison(given: Compare) -> str:
    """Describe a comparison: `version of r1 = 0`, `value of [a, c) != '40'`."""
    target = {"create": "create revision", "mod": "mod revision"}.get(given.target, given.target)
    operand = value(str(given.operand)) if given.target == "value" else str(given.operand)
    return f"{target} of {interval(given.key, given.range_end)} {given.result} {operand}"


def _transaction(given: Txn, nested: bool = False) -> str:
    def listed(branch: Sequence[Put | Range | Delete | Txn]) -> str:
        texts = [
            ("txn (…)" if nested else _transaction(one, nested=True)) if isinstance(one, Txn)
            else request(one)
            for one in branch[:LISTED_MAX]
        ]
        more = len(branch) - len(texts)
        return "; ".join([*texts, *([f"{more} more"] if more else [])]) or "nothing"

    if not given.compare:
        return f"txn ({listed(given.success)})"
    compared = " and ".join(comparison(one) for one in given.compare[:LISTED_MAX])
    more = len(given.compare) - LISTED_MAX
    if more > 0:
        compared += f" and {more} more"
    otherwise = f"; else: {listed(given.failure)}" if given.failure else ""
    return f"txn (if {compared}: {listed(given.success)}{otherwise})"


def operation(op: Operation) -> str:
    """Describe an operation: `process 3's put r1='40' on n2`.

    ` on n2` is left out if the member is unknown. An operation of another tool is described by its
    function.
    """
    if op.node:
        return f"process {op.process}'s {request(op.request)} on {op.node}"
    of_objects = {
        "enqueue": "enqueue of", "dequeue": "dequeue of", "add": "add of", "generate": "generate",
    }.get(op.f)
    asked = op.request
    if of_objects is None or not isinstance(asked, Put | Delete) or (
        isinstance(asked, Delete) and asked.range_end
    ):
        return f"process {op.process}'s {request(asked)}"
    of = f" {asked.key}" if of_objects.endswith("of") else ""
    return f"process {op.process}'s {of_objects}{of}"


def answered(op: Operation) -> str:
    """Describe an answer: `n3 answered revision 41 at 3.200 s`."""
    revision = op.result.header.revision if op.result else 0
    return f"{node(op)} answered revision {revision} at {seconds(op.ret or 0)}"


def changes(made: Sequence[Change]) -> str:
    """Describe changes: `put r1='40' (create 3, version 2), delete r2`."""
    shown = ", ".join(change(one) for one in made[:4])
    return f"{shown}, …" if len(made) > 4 else shown or "nothing"


def hidden_difference(made: Sequence[Change], other: Sequence[Change]) -> str:
    """Describe the first difference of two lists of changes that look equal in a message.

    Returns "" if the function `changes` describes the lists by different texts.
    """
    if changes(made) != changes(other):
        return ""
    for one, two in zip(made, other, strict=False):
        if one == two:
            continue
        if change(one) != change(two):
            return f"; the first difference is {change(one)}, not {change(two)}"
        if one.value != two.value:
            return f"; the values of {one.key} differ {first_difference(one.value, two.value)}"
    if len(made) == len(other):
        return ""
    more = made if len(made) > len(other) else other
    return f"; the first difference is {change(more[min(len(made), len(other))])}"


def change(made: Change) -> str:
    """Describe a change: `put r1='40' (create 3, version 2)` or `delete r2`."""
    if made.kind == "delete":
        return f"delete {made.key}"
    lease = f", lease {made.lease}" if made.lease else ""
    return (
        f"put {made.key}={value(made.value)} "
        f"(create {made.create_revision}, version {made.version}{lease})"
    )


def indexes(*ops: Operation | ServiceOperation) -> tuple[int, ...]:
    """Return the indexes of the invocations and returns of `ops`, ascending."""
    found = {
        index
        for op in ops
        for index in (op.invoked, op.returned)
        if index is not None
    }
    return tuple(sorted(found))
