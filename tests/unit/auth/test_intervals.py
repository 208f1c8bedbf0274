"""Permissions cover a range exactly if they permit each of its keys."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from splitbrain.node.auth.range_permission import contains_key, covers
from splitbrain.node.messages.auth import Permission

KEYS = [bytes([letter]) for letter in b"abcdef"]
keys = st.sampled_from(KEYS)
ends = st.sampled_from([b"", b"\0", *KEYS])
permissions = st.lists(
    st.builds(lambda key, end: Permission(0, key, end), keys, ends), max_size=4
)


def permitted(granted: list[Permission], key: bytes) -> bool:
    return any(contains_key(one, key) for one in granted)


@given(permissions, keys)
def test_a_key_is_covered_if_some_permission_contains_it(
    granted: list[Permission], key: bytes
) -> None:
    assert covers(granted, key, b"") == permitted(granted, key)


@given(permissions, keys, keys)
def test_a_range_is_covered_only_if_each_key_is_permitted(
    granted: list[Permission], key: bytes, end: bytes
) -> None:
    inside = [
        one + more for one in KEYS for more in (b"", b"\0", b"z") if key <= one + more < end
    ]
    if inside:
        assert covers(granted, key, end) == all(permitted(granted, one) for one in inside)


@given(permissions, keys)
def test_an_open_range_needs_a_permission_without_an_end(
    granted: list[Permission], key: bytes
) -> None:
    if covers(granted, key, b"\0"):
        assert permitted(granted, key)
        assert permitted(granted, b"\xff" * 8)


def test_neighbouring_permissions_cover_a_range_together() -> None:
    granted = [Permission(0, b"c", b"e"), Permission(0, b"a", b"c")]
    assert covers(granted, b"a", b"e")
    assert not covers(granted, b"a", b"f")
    assert not covers(granted[:1], b"b", b"d")
