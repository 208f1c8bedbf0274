"""Generates histories of any size from a model of the store, valid or corrupted in a known way.

The same arguments give the same history, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from splitbrain.harness.synthetic.kv_clients import Simulation
from splitbrain.harness.synthetic.kv_corruptions import CORRUPTIONS, Corruptor
from splitbrain.harness.synthetic.workloads import WORKLOADS
from splitbrain.histories.event import Event
from splitbrain.histories.garbage_collection import collector_paused
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.sidecar import write_members


class CannotCorruptError(Exception):
    """The history has no place at which the requested corruption is possible."""


@dataclass(frozen=True, slots=True)
class Synthetic:
    """The events of a generated history in order, and the members' states at its end."""

    events: tuple[Event, ...]
    members: tuple[MemberState, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The arguments that determine a generated history.

    `uncertain` is the share of operations that end in `info`, and `failing` the share of those that
    end in `fail`. `members` is the number of members whose states are generated. `corrupt` is a
    name in `CORRUPTIONS`, or "" for a valid history. `make` raises KeyError for an unknown workload
    or corruption.
    """

    workload: str = "kv"
    operations: int = 1000
    clients: int = 32
    uncertain: float = 0.01
    failing: float = 0.01
    seed: int = 0
    members: int = 3
    corrupt: str = ""

    def make(self, emit: Callable[[Event], object]) -> list[MemberState]:
        """Generate the history, and pass each event to `emit`. Return the members' states.

        Raises CannotCorruptError if the corruption is not possible anywhere.
        """
        corruptor = None
        if self.corrupt:
            corruptor = Corruptor(CORRUPTIONS[self.corrupt], self.operations // 2)
        simulation = Simulation(
            workload=WORKLOADS[self.workload], clients=self.clients, uncertain=self.uncertain,
            failing=self.failing, seed=self.seed, emit=emit, corruptor=corruptor,
        )
        with collector_paused():
            simulation.run(self.operations)
        states = _states(simulation, self.members)
        if corruptor is not None:
            states = corruptor.states(states)
            if not corruptor.done:
                raise CannotCorruptError(
                    f"the corruption {self.corrupt} is not possible anywhere in "
                    f"{self.operations} operations of the workload {self.workload}"
                )
        return states


def _states(simulation: Simulation, members: int) -> list[MemberState]:
    revision = simulation.store.revision
    compacted = simulation.store.compacted
    changes = tuple(one for one in simulation.store.changes if one.revision > compacted)
    return [
        MemberState(
            member=f"n{number}",
            revision=revision,
            first_revision=max(1, compacted + 1),
            compact_revision=compacted,
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
    corrupt: str = "",
) -> Synthetic:
    """Generate a history of about `operations` operations, and the members' states.

    The arguments are those of `Recipe`.
    """
    events: list[Event] = []
    recipe = Recipe(
        workload=workload, operations=operations, clients=clients, uncertain=uncertain,
        failing=failing, seed=seed, members=members, corrupt=corrupt,
    )
    states = recipe.make(events.append)
    return Synthetic(tuple(events), tuple(states))


def generate_file(path: Path, recipe: Recipe) -> None:
    """Generate the history of `recipe`, and write it to `path` event by event.

    The members' states are written to a second file, the sidecar file of `path`.
    """
    encode = msgspec.json.Encoder().encode
    with path.open("wb", buffering=1 << 20) as out:
        write = out.write

        def emit(event: Event) -> None:
            write(encode(event))
            write(b"\n")

        states = recipe.make(emit)
    write_members(path, states)
