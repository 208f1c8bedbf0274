"""Finds out whether a fault that was injected had an effect on the system.

A fault can be in force without changing anything. For example, no frame is sent during a partition,
or a kill hits a member that does not run. A run with such faults tests less than its schedule
describes.

An `Effect` is a function that is called when the fault is healed. It returns a text that describes
what the fault changed: "" if it changed nothing, None if that is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from splitbrain.nemesis.capabilities import CountsDiskEffects, CountsLinkEffects
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.partition_shapes import Link

Effect = Callable[[], "str | None"]


def unknown() -> str | None:
    """Return None, as the `Effect` of a fault whose effect cannot be observed."""
    return None


def known(text: str) -> Effect:
    """Return an `Effect` that returns `text`.

    It is for faults whose injection itself shows the effect.
    """
    return lambda: text


def running(members: Sequence[MemberName], in_force: FaultsInForce) -> tuple[MemberName, ...]:
    """Return those of `members` that run now, according to the system and the faults in force."""
    alive = getattr(in_force.system, "alive", None)
    return tuple(
        member for member in members
        if not in_force.is_killed(member) and (alive is None or alive(member))
    )


def on_links(
    links: Sequence[Link], in_force: FaultsInForce, changed: str = "held back, delayed or broken"
) -> Effect:
    """Begin to count the frames and connections that faults change on `links`.

    Call this function before the fault is injected. The `Effect` that it returns gives the count
    since then as text, such as "12 frames and connections delayed". `changed` is the end of this
    text.
    """
    system = in_force.system
    if not isinstance(system, CountsLinkEffects):
        return unknown
    before = sum(system.link_effects(*link) for link in links)

    def effect() -> str:
        count = sum(system.link_effects(*link) for link in links) - before
        return f"{count} frames and connections {changed}" if count else ""

    return effect


def on_disks(members: Sequence[MemberName], in_force: FaultsInForce) -> Effect:
    """Begin to count the reads, writes and syncs that faults change on the disks of `members`.

    Call this function before the fault is injected. The `Effect` that it returns gives the count
    since then as text.
    """
    system = in_force.system
    if not isinstance(system, CountsDiskEffects):
        return unknown
    before = sum(map(system.disk_effects, members))

    def effect() -> str:
        count = sum(map(system.disk_effects, members)) - before
        return f"{count} reads, writes and syncs failed, slowed down or falsified" if count else ""

    return effect
