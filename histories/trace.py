"""One event of the write path, as a member writes it to its `trace.jsonl`.

A line a step: {"member": "n1", "step": "leader_wal", "request": 42, "term": 2,
"index": 17, "revision": 0, "ns": 81230423}. `request` is 0 where a step is not of
one client's request (the empty entry of a term); `index` and `term` are 0 before
the entry has them; `revision` is 0 before the entry is applied. `ns` is one clock
for all members of a run, so that events of several members can be ordered.

Source: the eleven steps in ARCHITECTURE.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from splitbrain.histories.errors import HistoryError

STEPS = (
    "client_request",
    "follower_forward",
    "leader_receive",
    "leader_wal",
    "replicate",
    "follower_wal",
    "quorum_ack",
    "leader_commit",
    "follower_commit",
    "apply_notify",
    "apply_mvcc",
    "backend_flush",
    "respond",
)
"""The steps in order. Besides them a member traces

- `start`: its process begins. `index` is the applied index that its backend holds,
  `term` and `peer` the term and the vote that its WAL holds.
- `vote`: it has promised its vote in `term` to `peer`, durably as far as it knows.
- `lead`: it leads in `term`.
"""


class TraceEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    member: str
    step: str
    ns: int
    request: int = 0
    term: int = 0
    index: int = 0
    revision: int = 0
    peer: str = ""
    """`replicate`: to whom. `quorum_ack`: "" ; `leader_receive`: from whom, if forwarded."""


def read_trace(path: Path) -> Iterator[TraceEvent]:
    """Events of one member's trace, in its order; a line cut short by a kill is dropped."""
    decoder = msgspec.json.Decoder(TraceEvent)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield decoder.decode(line)
            except msgspec.MsgspecError as problem:
                if not line.endswith(b"\n"):
                    continue
                raise HistoryError(f"{path}:{number}: not a trace event: {problem}") from problem
