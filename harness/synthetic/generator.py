"""Histories of any size from a model of the store: valid ones, and ones spoilt in a known way.

The same arguments give the same history, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from splitbrain.harness.synthetic.corruptions import SPOILS, Spoil
from splitbrain.harness.synthetic.draws import DRAWS
from splitbrain.harness.synthetic.simulation import Simulation, remaining
from splitbrain.histories.event import Event
from splitbrain.histories.garbage_collection import collector_paused
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.sidecar import write_members


class CannotSpoilError(Exception):
    """The history has no place where it could be spoilt in this way."""


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Events in order, and what the members hold at the end."""

    events: tuple[Event, ...]
    members: tuple[MemberState, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to make. Raises KeyError for a workload or spoil that there is not."""

    workload: str = "kv"
    operations: int = 1000
    clients: int = 32
    uncertain: float = 0.01
    failing: float = 0.01
    seed: int = 0
    members: int = 3
    spoil: str = ""

    def make(self, emit: Callable[[Event], object]) -> list[MemberState]:
        """Give each event to `emit`, then the members' states. Raises CannotSpoilError."""
        spoil = Spoil(SPOILS[self.spoil], self.operations // 2) if self.spoil else None
        simulation = Simulation(
            DRAWS[self.workload], self.clients, self.uncertain, self.failing, self.seed, emit,
            spoil,
        )
        with collector_paused():
            simulation.run(self.operations)
        states = _states(simulation, self.members)
        if spoil is not None:
            states = spoil.states(states)
            if not spoil.done:
                raise CannotSpoilError(
                    f"no place to spoil this history by {self.spoil}: "
                    f"{self.operations} operations of {self.workload}"
                )
        return states


def _states(simulation: Simulation, members: int) -> list[MemberState]:
    revision = simulation.store.revision
    changes = remaining(simulation.changes, simulation.compacted)
    return [
        MemberState(
            member=f"n{number}",
            revision=revision,
            first_revision=max(1, simulation.compacted + 1),
            compact_revision=simulation.compacted,
            hash=revision * 2654435761 % 2**32,
            hash_revision=revision,
            member_id=number,
            leader_id=1,
            raft_term=2,
            raft_index=revision + 3,
            raft_applied_index=revision + 3,
            changes=changes,
        )
        for number in range(1, members + 1)
    ]


def generate(
    workload: str = "kv",
    operations: int = 1000,
    clients: int = 32,
    uncertain: float = 0.01,
    failing: float = 0.01,
    seed: int = 0,
    members: int = 3,
    spoil: str = "",
) -> Synthetic:
    """A history of about `operations` operations, and the members' states."""
    events: list[Event] = []
    recipe = Recipe(workload, operations, clients, uncertain, failing, seed, members, spoil)
    states = recipe.make(events.append)
    return Synthetic(tuple(events), tuple(states))


def generate_file(path: Path, recipe: Recipe) -> None:
    """The same, written to `path` as it is made, with the members' states beside it."""
    encode = msgspec.json.Encoder().encode
    with path.open("wb", buffering=1 << 20) as out:
        write = out.write

        def emit(event: Event) -> None:
            write(encode(event))
            write(b"\n")

        states = recipe.make(emit)
    write_members(path, states)
