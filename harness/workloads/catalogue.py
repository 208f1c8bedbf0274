"""Finds the workload of a run: a built-in one, an entry point, or a dotted path."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, cast

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.user_classes import (
    entry_points_of,
    load_entry_point,
    load_path,
    origin_of,
)
from splitbrain.harness.workloads.append import Append, WriteRead
from splitbrain.harness.workloads.auth import Auth
from splitbrain.harness.workloads.kubernetes import Kubernetes
from splitbrain.harness.workloads.kv import KV
from splitbrain.harness.workloads.lease import Lease
from splitbrain.harness.workloads.limits import Limits
from splitbrain.harness.workloads.lock import Election, Locks
from splitbrain.harness.workloads.members import Members
from splitbrain.harness.workloads.register import Register
from splitbrain.harness.workloads.set import Set
from splitbrain.harness.workloads.watch import Watch
from splitbrain.harness.workloads.workload import Workload

ENTRY_POINTS = "splitbrain.workloads"

BUILT_IN: Mapping[str, type[Workload]] = {
    one.name: one for one in (
        Register, KV, Set, Append, WriteRead, Watch, Lease, Locks, Election, Auth, Limits,
        Kubernetes, Members,
    )
}


def workloads() -> dict[str, str]:
    """Return the name and the description of each workload.

    The built-in ones come first, then those of installed packages. An entry point cannot replace a
    built-in workload. No package is imported.
    """
    built_in = {name: kind.description for name, kind in BUILT_IN.items()}
    others = {name: origin_of(point) for name, point in entry_points_of(ENTRY_POINTS).items()}
    return {**built_in, **{name: text for name, text in others.items() if name not in built_in}}


def make_workload(name: str, options: Mapping[str, Any]) -> Workload:
    """Create the workload `name` with `options`.

    Raises BadArguments if there is no such workload, or an option does not exist, is missing, or
    has the wrong type.
    """
    parts = ("operations", "final_operations")
    return cast("Workload", made(name, options, BUILT_IN, ENTRY_POINTS, parts=parts))


def made(
    name: str, options: Mapping[str, Any], built_in: Mapping[str, Any], group: str, *,
    parts: Sequence[str],
) -> Any:
    """Create the workload `name`: one of `built_in`, an entry point of `group`, or a dotted path.

    `parts` are the attributes that a workload must have. Raises BadArguments if there is no such
    workload, or an option does not exist, is missing, or has the wrong type.
    """
    kind = load_path(name, "workload") if ":" in name else _named(name, built_in, group)
    if not callable(kind):
        raise BadArguments(f"{name} is not a workload: expected a class, see splitbrain.Workload")
    _check_options(name, inspect.signature(kind).parameters, options)
    workload = kind(**options)
    missing = [part for part in parts if not hasattr(workload, part)]
    if missing:
        raise BadArguments(
            f"{name} is not a workload: it has no {' and no '.join(missing)} "
            "(see splitbrain.Workload)"
        )
    return workload


def _check_options(
    name: str, known: Mapping[str, inspect.Parameter], options: Mapping[str, Any]
) -> None:
    for option, value in options.items():
        if option not in known:
            raise BadArguments(
                f"the workload {name} has no option {option!r}; its options: "
                f"{', '.join(known) or 'none'}"
            )
        default = known[option].default
        if isinstance(default, int) and not isinstance(value, int):
            raise BadArguments(f"the workload {name} with {option}={value!r}: expected an integer")
    for option, parameter in known.items():
        is_option = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if is_option and parameter.default is parameter.empty and option not in options:
            raise BadArguments(f"the workload {name} needs its option: -o {option}=VALUE")


def _named(name: str, built_in: Mapping[str, Any], group: str) -> Any:
    if name in built_in:
        return built_in[name]
    points = entry_points_of(group)
    if (point := points.get(name)) is not None:
        return load_entry_point(point, "workload")
    known = list(dict.fromkeys((*built_in, *points)))
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise BadArguments(
        f"there is no workload {name!r}{hint}; expected one of {', '.join(known)}, "
        "or a dotted path package.module:Class"
    )
