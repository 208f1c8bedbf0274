"""The workloads by name: ours, those of entry points, and a dotted path to any other."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from harness.dotted_path import load
from harness.errors import BadArguments
from harness.workloads.append import Append, WriteRead
from harness.workloads.kv import KV
from harness.workloads.lease import Lease
from harness.workloads.lock import Election, Locks
from harness.workloads.register import Register
from harness.workloads.set import Set
from harness.workloads.watch import Watch
from harness.workloads.workload import Workload

ENTRY_POINTS = "splitbrain.workloads"

OURS: Mapping[str, type[Workload]] = {
    one.name: one for one in (Register, KV, Set, Append, WriteRead, Watch, Lease, Locks, Election)
}


def workloads() -> dict[str, type[Workload]]:
    """Every workload that is known by a name, ours first; an entry point of a name of ours
    does not replace it."""
    found: dict[str, type[Workload]] = {}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        found[point.name] = point.load()
    return {**OURS, **{name: found[name] for name in found if name not in OURS}}


def make_workload(name: str, options: Mapping[str, Any]) -> Workload:
    """The workload `name` with `options`. Raises BadArguments if there is none, or it has
    no such option."""
    kind = load(name, "workload") if ":" in name else _named(name)
    known = inspect.signature(kind).parameters
    for option, value in options.items():
        if option not in known:
            raise BadArguments(
                f"the workload {name} has no option {option!r}; it has {', '.join(known) or 'none'}"
            )
        wanted = known[option].default
        if isinstance(wanted, int) and not isinstance(value, int):
            raise BadArguments(f"the workload {name} with {option}={value!r}: expected a number")
    workload = kind(**options)
    missing = [part for part in ("operations", "final_operations") if not hasattr(workload, part)]
    if missing:
        raise BadArguments(
            f"{name} is not a workload: it has no {' and no '.join(missing)} "
            "(see splitbrain.Workload)"
        )
    return workload  # type: ignore[no-any-return]


def _named(name: str) -> Any:
    known = workloads()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise BadArguments(
        f"no workload {name!r}{hint}; there are {', '.join(known)}, "
        "or a dotted path package.module:Class"
    )
