"""Finds ids and peer URLs that a member list contains more than once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from splitbrain.histories.member_state import ListedMember


def repeated(members: Sequence[ListedMember]) -> Iterator[tuple[str, str]]:
    """Yield each id and each peer URL that occurs more than once in the list `members`.

    Each is yielded as a pair: the words "id" or "peer URL", and the id in hexadecimal or the URL.
    """
    ids = [f"{one.id:x}" for one in members]
    urls = [url for one in members for url in one.peer_urls]
    for what, found in (("id", ids), ("peer URL", urls)):
        for one in sorted({one for one in found if found.count(one) > 1}):
            yield what, one
