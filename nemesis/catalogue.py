"""The kinds of faults that a plan can draw, by the names that a user types."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from splitbrain.nemesis.capabilities import (
    Clocked,
    Disked,
    Killable,
    Partitionable,
    Pausable,
    Powered,
    Stepped,
)
from splitbrain.nemesis.errors import FaultError

NONE = "none"
"""The name for no faults at all."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    name: str
    describe: str
    needs: type
    """The protocol that a system must have to suffer it."""
    simulated: bool = False
    """Only a simulated system can suffer it; "all" leaves it out."""
    needs_failpoints: bool = False
    """Real processes suffer it if they have failpoints, which few do; "all" leaves it out."""

    @property
    def common(self) -> bool:
        """Whether "all" means it, too: whatever runs as a process can suffer it."""
        return not (self.simulated or self.needs_failpoints)


KINDS: dict[str, FaultKind] = {
    kind.name: kind
    for kind in (
        FaultKind("kill", "SIGKILL members; they restart on the same data", Killable),
        FaultKind("pause", "SIGSTOP members; they go on with SIGCONT", Pausable),
        FaultKind(
            "partition",
            "cut links between members or let nothing through: isolate one or the leader, "
            "halves, bridge, ring of majorities, one-way",
            Partitionable,
        ),
        FaultKind("latency", "slow links: delay, jitter, limited rate", Partitionable),
        FaultKind(
            "power", "machines lose power, with all that is not on their disks", Powered, True
        ),
        FaultKind("clock", "wall clocks jump, forward or back", Clocked, True),
        FaultKind("drift", "clocks count too fast or too slowly", Clocked, True),
        FaultKind("disk", "disks are slow, full, or fail writes and syncs", Disked, True),
        FaultKind(
            "step", "members crash, stand still, or are cut off at a step of the write path",
            Stepped, needs_failpoints=True,
        ),
    )
}


def kinds_named(text: str) -> tuple[str, ...]:
    """Kinds from what a user typed: "kill,pause", "all" or "none". Raises FaultError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return tuple(name for name, kind in KINDS.items() if kind.common)
    if names in ([NONE], []):
        return ()
    known_kinds(names)
    return tuple(dict.fromkeys(names))


def known_kinds(names: Sequence[str]) -> None:
    """Raises FaultError for a name that is no kind of fault."""
    for name in names:
        if name not in KINDS:
            raise FaultError(
                f"no fault is called {name!r}: expected {', '.join(KINDS)} (any of them, "
                f"with commas between), all, or {NONE}"
            )


def sufferable(system: object) -> frozenset[str]:
    """Names of the kinds that `system` can suffer, by the protocols that it has."""
    return frozenset(kind.name for kind in KINDS.values() if isinstance(system, kind.needs))


def suffers(names: Sequence[str], capabilities: Collection[str]) -> None:
    """Raises FaultError for a kind that is not among `capabilities`."""
    for name in names:
        if name not in capabilities:
            can = ", ".join(kind for kind in KINDS if kind in capabilities) or "none"
            raise FaultError(
                f"the system cannot suffer {name!r} (it lacks {KINDS[name].needs.__name__}): "
                f"it can suffer {can}"
            )
