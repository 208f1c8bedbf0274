"""Defines trace events of the write path, which a member writes to its `trace.jsonl`.

    {"member": "n1", "step": "leader_wal", "request": 42, "term": 2, "index": 17, "revision": 0,
     "ns": 81230423}

Each step is one line. `request` is 0 if the step belongs to no client's request, as for the empty
entry of a new term. `index` and `term` are 0 before the entry has them, and `revision` is 0 before
the entry is applied. `ns` is read from one clock for all members of a run, so that events of
several members can be ordered.

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
"""The steps in order. A member also traces these events:

- `start`: its process starts. `index` is the applied index in its backend; `term` and `peer`
  are the term and the vote in its WAL. `member_id` is its id: a member that was removed and added
  again has another one. `voters` is the configuration that it knows, and `vote` the id of `peer`.
- `configuration`: it has applied a change of the configuration, or received a snapshot, at
  `index`. `voters` is the configuration after that.
- `vote`: it has granted its vote in `term` to `peer`, whose id is `vote`, and the vote is durable
  as far as the member knows. The name of a new member may not be known yet.
- `lead`: it becomes leader in `term`.
"""


class TraceEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of the write path: one member completed the step for one entry."""

    member: str
    step: str
    ns: int
    request: int = 0
    term: int = 0
    index: int = 0
    revision: int = 0
    peer: str = ""
    """For `replicate`, the receiver. For `leader_receive`, the member that forwarded the proposal,
    if any. For `start` and `vote`, see `STEPS`. For all other steps, ""."""
    carrier: str = ""
    """How the client's request came, for `client_request` and `respond`: "grpc" or "json"; "" if
    it came in simulation."""
    member_id: int = 0
    voters: tuple[tuple[int, ...], ...] = ()
    """The ids of the voters. A joint configuration has two groups, the incoming voters first."""
    vote: int = 0


def read_trace(path: Path) -> Iterator[TraceEvent]:
    """Yield the events of one member's trace, in the order of the file.

    A last line that a kill cut short is dropped. Raises HistoryError for a line that is not a trace
    event.
    """
    decoder = msgspec.json.Decoder(TraceEvent)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield decoder.decode(line)
            except msgspec.MsgspecError as problem:
                if not line.endswith(b"\n"):
                    continue
                raise HistoryError(
                    f"{path}:{number}: not a trace event: {problem}. Expected a JSON object on "
                    'each line, with "member", "step" and "ns"'
                ) from problem
