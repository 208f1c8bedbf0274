"""The texts in verdicts are short, but contain everything that decides."""

from __future__ import annotations

import pytest

from splitbrain.checkers import wording
from splitbrain.histories.kv import Compact, Compare, Delete, KeyValue, Put, Range, Request, Txn
from splitbrain.histories.member_state import Change


def test_a_long_value_is_shown_by_its_beginning_and_its_length() -> None:
    assert wording.request(Put("k", "1.2")) == "put k='1.2'"
    assert wording.value("x" * wording.VALUE_SHOWN) == repr("x" * wording.VALUE_SHOWN)
    said = wording.request(Put("k", "3.14" + "~" * 3996))
    assert said == f"put k={'3.14' + '~' * 26!r}… (4,000 characters)"


VERSION = Compare("a", "version", "=", 0)
INNER = Txn((Compare("b", "mod", ">", 3, "c"),), (Put("b", "1"),), (Txn(),))


@pytest.mark.parametrize(("request_", "text"), [
    (Range("a"), "get a"),
    (Range("a", "c"), "range [a, c)"),
    (Range("a", "\0", limit=3, keys_only=True), "range [a, ∞) (limit 3, keys only)"),
    (Range("a", "c", count_only=True), "range [a, c) (count only)"),
    (Range("a", "c", sort_by="value", descend=True), "range [a, c) (sorted by value, descending)"),
    (
        Range("a", "c", sort_by="mod", min_create=4, max_mod=9),
        "range [a, c) (sorted by mod revision, mod revision at most 9, create revision at least 4)",
    ),
    (Range("\0", "\0", limit=1), "read of all (limit 1)"),
    (Delete("a", "c"), "delete [a, c)"),
    (Compact(7), "compact 7"),
    (Txn(), "txn (nothing)"),
    (Txn((), (Put("a", "1"), Range("b"))), "txn (put a='1'; get b)"),
    (Txn((VERSION,), (Put("a", "1"),), (Range("a"),)),
     "txn (if version of a = 0: put a='1'; else: get a)"),
    (Txn((VERSION, Compare("a", "value", "!=", "x")), ()),
     "txn (if version of a = 0 and value of a != 'x': nothing)"),
    (Txn((VERSION,) * 5, (Range("a"),) * 5),
     "txn (if version of a = 0 and version of a = 0 and version of a = 0 and 2 more: "
     "get a; get a; get a; 2 more)"),
    (Txn((VERSION,), (INNER,)),
     "txn (if version of a = 0: txn (if mod revision of [b, c) > 3: put b='1'; else: txn (…)))"),
])
def test_a_request_is_described_with_everything_that_decides_its_answer(
    request_: Request, text: str
) -> None:
    assert wording.request(request_) == text


def test_a_difference_that_the_shortened_texts_hide_is_named() -> None:
    one = [Change(2, "put", f"k{n}", "v", 2, 1) for n in range(6)]
    other = [*one[:5], Change(2, "put", "k5", "w", 2, 1)]
    assert wording.changes(one) == wording.changes(other)
    assert wording.hidden_difference(one, other) == (
        "; the first difference is put k5='v' (create 2, version 1), not put k5='w' (create 2, "
        "version 1)"
    )
    assert wording.hidden_difference(one, one[:5]).startswith("; the first difference is put k5")
    assert wording.hidden_difference(one[:1], one[1:2]) == ""
    long = [Change(2, "put", "k", "~" * 100 + "a", 2, 1)]
    longer = [Change(2, "put", "k", "~" * 100 + "b", 2, 1)]
    assert wording.hidden_difference(long, longer) == (
        "; the values of k differ from character 100 on: 'a', not 'b'"
    )


def test_a_key_value_is_described_with_its_lease() -> None:
    assert wording.key_value(KeyValue("a", "1", 2, 3, 4)) == "a='1' (create 2, mod 3, version 4)"
    assert wording.key_value(KeyValue("a", "1", 2, 3, 4, 9)).endswith("version 4, lease 9)")
