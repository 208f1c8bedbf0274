"""The index of keys agrees with a model, and revisions survive their encoding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.node.mvcc import key_index
from splitbrain.node.mvcc.key_index import KeyIndex
from splitbrain.node.mvcc.revision import (
    MAIN_MAX,
    SUB_MAX,
    Revision,
    backend_key,
    is_tombstone,
    main_of,
    pack,
    packed_from,
    revision_of,
)

revisions = st.tuples(st.integers(0, MAIN_MAX), st.integers(0, SUB_MAX), st.booleans())


@given(revisions)
def test_an_encoded_revision_is_decoded_unchanged(revision: tuple[int, int, bool]) -> None:
    main, sub, tombstone = revision
    packed = pack(main, sub, tombstone=tombstone)
    assert packed < 1 << 64
    assert revision_of(packed) == Revision(main, sub)
    assert main_of(packed) == main
    assert is_tombstone(packed) is tombstone
    assert packed_from(backend_key(packed)) == packed


@given(revisions, revisions)
def test_encoded_revisions_are_ordered_as_revisions_in_memory_and_in_the_backend(
    one: tuple[int, int, bool], other: tuple[int, int, bool]
) -> None:
    packed = [pack(main, sub, tombstone=tombstone) for main, sub, tombstone in (one, other)]
    assert (packed[0] < packed[1]) == (one < other)
    assert (backend_key(packed[0]) < backend_key(packed[1])) == (one < other)


def test_a_revision_in_the_backend_is_encoded_as_by_etcd() -> None:
    assert backend_key(pack(1, 2)) == b"\0\0\0\0\0\0\0\x01_\0\0\0\0\0\0\0\x02"
    assert backend_key(pack(1, 2, tombstone=True)).endswith(b"\x02t")


@pytest.mark.parametrize(("main", "sub"), [(MAIN_MAX + 1, 0), (1, SUB_MAX + 1)])
def test_revisions_beyond_the_limit_are_refused(main: int, sub: int) -> None:
    with pytest.raises(AssertionError, match="at most"):
        pack(main, sub)


def index_of(*changes: tuple[bytes, int, bool]) -> KeyIndex:
    index = KeyIndex()
    for key, main, tombstone in changes:
        index.add(key, pack(main, tombstone=tombstone))
    return index


def test_a_tombstone_ends_a_generation() -> None:
    index = index_of((b"a", 2, False), (b"a", 3, False), (b"a", 4, True), (b"a", 6, False))
    assert index.generations(b"a") == [
        [Revision(2), Revision(3), Revision(4)],
        [Revision(6)],
    ]
    assert index.at(b"a", 3) == pack(3)
    assert index.at(b"a", 4) is None
    assert index.at(b"a", 5) is None
    assert index.latest(b"a") == pack(6)


# The table in etcd's key_index.go: a key is put at 2 and 4, deleted at 5, put at 7, deleted at 9.
@pytest.mark.parametrize(
    ("at", "kept"),
    [
        (1, [[2, 4, 5], [7, 9]]),
        (2, [[2, 4, 5], [7, 9]]),
        (3, [[2, 4, 5], [7, 9]]),
        (4, [[4, 5], [7, 9]]),
        (5, [[5], [7, 9]]),
        (6, [[7, 9]]),
        (7, [[7, 9]]),
        (8, [[7, 9]]),
        (9, [[9]]),
        (10, []),
    ],
)
def test_compaction_keeps_the_versions_that_are_still_visible(
    at: int, kept: list[list[int]]
) -> None:
    changes = [(2, False), (4, False), (5, True), (7, False), (9, True)]
    index = index_of(*((b"a", main, tombstone) for main, tombstone in changes))
    removed = index.compact(at)
    found = [[revision.main for revision in generation] for generation in index.generations(b"a")]
    assert found == kept
    removed_mains = [main_of(packed) for packed in removed]
    kept_mains = [main for generation in kept for main in generation]
    assert removed_mains + kept_mains == [2, 4, 5, 7, 9]
    assert len(index) == 0


def test_a_key_with_one_version_needs_no_array() -> None:
    index = index_of((b"a", 2, False), (b"b", 3, False), (b"b", 4, False))
    assert isinstance(index._changes[b"a"], int)
    assert index._changes[b"b"].itemsize == 8
    index.compact(4)
    assert isinstance(index._changes[b"b"], int)


def test_changes_out_of_order_fail_an_assertion() -> None:
    index = index_of((b"a", 3, False))
    with pytest.raises(AssertionError, match="Revision"):
        index.add(b"a", pack(3))


def test_planted_bugs_can_replace_first_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_index, "first_kept", lambda changes, main: len(changes))
    index = index_of((b"a", 2, False), (b"a", 3, False))
    index.compact(2)
    assert index.generations(b"a") == []
