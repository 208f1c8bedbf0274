"""The workload `kv` draws every kind of request that clients send."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise
from random import Random

import pytest

from splitbrain.checkers.model.request_parts import must_be_recent, parts, ranges
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.kv import KV, LARGE, MANY, NEVER_GRANTED
from splitbrain.harness.workloads.workload import Draft
from splitbrain.histories.kv import Compact, Put, Range, Txn

DRAWN = 20_000


def drawn(**options: int) -> Iterator[Draft]:
    return islice(KV(**options).operations(Random(1), 0), DRAWN)


def kinds(draft: Draft) -> Iterator[str]:
    """The kinds of requests in `EXPECTED` to which `draft` belongs."""
    request, backs = draft.request, [back for _, back in draft.ranges_back]
    if isinstance(request, Compact):
        yield "compaction"
        if draft.revision_back == 0:
            yield "compaction at the newest revision"
    if draft.revision_back is not None:
        backs.append(draft.revision_back)
    elif not isinstance(request, Txn):
        return
    if isinstance(request, Range) and request.filtered:
        yield "range with a bound of revisions"
    if isinstance(request, Range | Compact):
        return
    assert isinstance(request, Txn)
    written = list(parts(request))
    if any(back < 0 for back in backs):
        yield "range at a future revision in a transaction"
    if any(back > 1_000 for back in backs):
        yield "range at a compacted revision in a transaction"
    if any(0 <= back <= 30 for back in backs):
        yield "range at a past revision in a transaction"
    if written and backs:
        yield "range at a revision in a transaction that writes"
    reads = list(ranges(request))
    if not written and len({one.serializable for one in reads}) == 2:
        yield "read-only transaction, mixed"
        assert must_be_recent(request)
    if not written and all(one.serializable for one in reads):
        yield "read-only transaction, serializable"
    puts = [one for one in written if isinstance(one, Put)]
    if any(one.lease == NEVER_GRANTED for one in puts):
        yield "transaction that fails half-way"
    if len(puts) >= MANY[0]:
        yield "transaction of many puts"
    lengths = {len(one.value) for one in puts}
    if lengths & set(LARGE) and min(lengths) < 20:
        yield "large value next to small ones"


EXPECTED = {
    "compaction", "compaction at the newest revision",
    "range at a future revision in a transaction",
    "range at a compacted revision in a transaction",
    "range at a past revision in a transaction",
    "range at a revision in a transaction that writes",
    "read-only transaction, mixed", "read-only transaction, serializable",
    "transaction that fails half-way", "transaction of many puts",
    "large value next to small ones", "range with a bound of revisions",
}


def test_every_kind_of_request_is_drawn() -> None:
    counts = Counter(kind for draft in drawn() for kind in kinds(draft))
    assert set(counts) == EXPECTED
    assert min(counts.values()) >= 20, counts


def test_compactions_come_in_bursts() -> None:
    drafts = list(drawn())
    places = [place for place, one in enumerate(drafts) if isinstance(one.request, Compact)]
    assert any(after == before + 1 for before, after in pairwise(places))


@pytest.mark.parametrize(
    ("option", "without"),
    [
        ("compactions", {"compaction", "compaction at the newest revision"}),
        ("txn_revisions", {"range at a revision in a transaction that writes"}),
        ("many_percent", {"transaction of many puts"}),
        ("large_percent", {"large value next to small ones"}),
    ],
)
def test_an_option_leaves_a_kind_of_request_out(option: str, without: set[str]) -> None:
    found = {kind for draft in drawn(**{option: 0}) for kind in kinds(draft)}
    assert found == EXPECTED - without


def test_an_impossible_option_is_refused() -> None:
    with pytest.raises(BadArguments, match="many_percent=51: expected 0 to 50"):
        KV(many_percent=51)
