"""Computes covering arrays, from which a campaign gets its configurations.

An axis is a property of runs, such as the workload, with the values that a campaign tries. A
configuration has one value of each axis. The set of all configurations would be too large for a
campaign. A covering array is a small set of configurations: for any two axes, every combination of
their values occurs in one of them. With a higher `strength`, this is true for any `strength` axes.
Small combinations are enough, because most bugs need only two or three values together. Source:
Kuhn, Wallace, Gallo, "Software Fault Interactions and Implications for Software Testing", IEEE TSE
2004.

Two of the axes are kinds of faults. Therefore each pair of kinds occurs in a run, and no run has
more than two kinds. With more kinds, the cluster would be down most of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import covertable

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.store.campaign_folder import Axes
from splitbrain.harness.systems.factory import capabilities_of
from splitbrain.harness.workloads.catalogue import make_workload
from splitbrain.nemesis.fault_kinds import KINDS, LINK_KINDS

NO_FAULT = ""
SYSTEM, WORKLOAD, FAULT, SECOND_FAULT, MEMBERS = (
    "system", "workload", "fault", "second fault", "members"
)
NEEDS_OTHERS = frozenset(LINK_KINDS)
"""Kinds of faults that are impossible in a cluster of one member."""


@dataclass(frozen=True, slots=True, order=True)
class Configuration:
    """A row of a covering array: one value for each axis."""

    system: str
    workload: str
    kinds: tuple[str, ...]
    members: int

    @property
    def options(self) -> dict[str, Any]:
        """The configuration as options of a run."""
        return {
            "system": self.system, "workload": self.workload, "nemesis": list(self.kinds),
            "nodes": [self.members],
        }


def covering_array(axes: Axes, salt: str = "") -> tuple[Configuration, ...]:
    """Return a small set of configurations that together contain every possible combination.

    A combination consists of values of `axes.strength` axes. Another `salt` gives another set.
    """
    factors = _factors(axes)
    rows = covertable.make(
        factors, strength=min(axes.strength, len(factors)), salt=salt,
        constraints=list(_constraints(factors)),
    )
    return tuple(dict.fromkeys(_configuration(row) for row in rows))


def possible(row: Mapping[str, Any]) -> bool:
    """Return whether a run can have the values of `row`. Some axes may be missing in `row`."""
    first, second = row.get(FAULT), row.get(SECOND_FAULT)
    if first is not None and second is not None and not _in_order(first, second):
        return False
    system, members = row.get(SYSTEM), row.get(MEMBERS)
    for kind in (first, second):
        if not kind:
            continue
        if system is not None and not supports(system, kind):
            return False
        if members == 1 and kind in NEEDS_OTHERS:
            return False
    return True


@cache
def supports(system: str, kind: str) -> bool:
    """Return whether the system `system` supports faults of the kind `kind`."""
    return kind in capabilities_of(Options(system=system))


def _factors(axes: Axes) -> dict[str, list[Any]]:
    kinds = [NO_FAULT, *sorted(axes.kinds)]
    factors: dict[str, list[Any]] = {
        SYSTEM: list(axes.systems), WORKLOAD: list(axes.workloads), FAULT: kinds,
        SECOND_FAULT: kinds, MEMBERS: list(axes.members),
    }
    return {name: list(dict.fromkeys(values)) for name, values in factors.items()}


def _constraints(factors: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Yield the constraints of pairs of axes, in the form that the library covertable expects."""
    for names in (
        (FAULT, SECOND_FAULT), (SYSTEM, FAULT), (SYSTEM, SECOND_FAULT), (MEMBERS, FAULT),
        (MEMBERS, SECOND_FAULT),
    ):
        yield {
            "operator": "fn", "requires": list(names),
            "evaluate": lambda row, names=names: possible({name: row[name] for name in names}),
        }


def _in_order(first: str, second: str) -> bool:
    """Return whether two kinds of faults are in their normal order: sorted, with NO_FAULT last.

    A campaign tries only one order of each pair of kinds.
    """
    return second == NO_FAULT or NO_FAULT != first < second


def _configuration(row: Mapping[str, Any]) -> Configuration:
    kinds = tuple(kind for kind in (row[FAULT], row[SECOND_FAULT]) if kind)
    return Configuration(row[SYSTEM], row[WORKLOAD], kinds, row[MEMBERS])


def check_axes(axes: Axes) -> None:
    """Raise BadArguments if an axis contains an unknown name or an impossible number."""
    for kind in axes.kinds:
        if kind not in KINDS:
            raise BadArguments(f"{kind!r} is not a kind of fault; see `splitbrain list nemeses`")
    for system in axes.systems:
        capabilities_of(Options(system=system))
    for workload in axes.workloads:
        make_workload(workload, {})
    if any(not 1 <= one <= 9 for one in axes.members):
        raise BadArguments(f"--nodes {','.join(map(str, axes.members))}: expected 1 to 9")
    if not 1 <= axes.strength <= 5:
        raise BadArguments(f"--strength {axes.strength}: expected 1 to 5")
