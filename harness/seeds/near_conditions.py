"""Selects the conditions that show how near the runs of a hunt came to a planted bug.

A condition is a situation that the simulation counts, such as an election or a full queue
(`splitbrain.harness.simulation.coverage`). If a hunt does not find the planted bug, it prints how
often its runs reached each selected condition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from splitbrain.harness.mutants.catalogue import mutant, room_of
from splitbrain.harness.simulation.coverage import (
    BUGGIFIED,
    CLIENTS,
    CLOCKS,
    CONDITIONS,
    DISKS,
    ELECTIONS,
    LEASES,
    LOGS,
    NETWORKS,
    RESTARTS,
    STORES,
    WATCHES,
)

GROUPS: Mapping[str, tuple[str, ...]] = {
    "api": (*CLIENTS, *STORES, *WATCHES),
    "apply": (*STORES, *RESTARTS, *LOGS),
    "auth": (*CLIENTS, *STORES, *RESTARTS),
    "lease": (*LEASES, *ELECTIONS, *RESTARTS),
    "limits": (*STORES, *CLIENTS, *DISKS),
    "membership": (*ELECTIONS, *LOGS, *RESTARTS, *NETWORKS),
    "mvcc": (*STORES, *WATCHES),
    "raft": (*ELECTIONS, *LOGS, *RESTARTS, *NETWORKS, *CLOCKS),
    "server": (*CLIENTS, *ELECTIONS, *STORES),
    "storage": (*DISKS, *RESTARTS, *LOGS),
}
"""For each part of the member in which bugs are planted: the situations (conditions), such as
elections, that concern that part."""
NEAR_MIN = 3
STEM_LETTERS = 5
"""Words in which this number of first letters is equal, such as snapshot and snapshots, count as
the same word."""
SHORT_WORD_LETTERS = 4
"""Words with fewer letters than this are ignored."""
COMMON_STEMS = frozenset(("membe", "befor", "after", "entri", "entry", "other", "store", "again"))


def near_conditions(name: str) -> tuple[str, ...]:
    """Return the conditions that are related to the planted bug `name`.

    A condition is a situation that the simulation counts, such as an election. Candidates are the
    conditions in `BUGGIFIED`, and the conditions that concern the part of the member with the bug.
    A candidate is selected if its text shares a word with the description of the bug. If fewer than
    `NEAR_MIN` are selected, all conditions of that part are returned instead.
    """
    of_part = (*GROUPS.get(room_of(name), CONDITIONS), *BUGGIFIED)
    described = _stems(f"{name.replace('_', ' ')} {mutant(name).what}")
    near = tuple(one for one in of_part if described & _stems(one))
    return near if len(near) >= NEAR_MIN else of_part[: -len(BUGGIFIED)]


def near_lines(name: str, counts: Mapping[str, int]) -> Iterator[str]:
    """Yield lines of text that show how often the runs reached each of the `near_conditions`.

    `counts` maps each condition, a situation such as an election, to the number of its occurrences.
    `name` is the planted bug.
    """
    near = near_conditions(name)
    reached = sum(1 for one in near if counts.get(one))
    yield f"conditions near {name} that the runs reached: {reached} of {len(near)}"
    for one in sorted(near, key=lambda condition: -counts.get(condition, 0)):
        count = counts.get(one, 0)
        yield f"  {format(count, ',') if count else 'never':>9}  {one}"


def _stems(text: str) -> frozenset[str]:
    words = re.findall(rf"[a-z]{{{SHORT_WORD_LETTERS},}}", text.lower())
    return frozenset(word[:STEM_LETTERS] for word in words) - COMMON_STEMS
