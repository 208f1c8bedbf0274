"""Which system a run tests, by the name in its options."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from splitbrain.harness.errors import BadArguments, SystemFailed
from splitbrain.harness.mutants.catalogue import mutant_command, mutant_flags
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.plan import Plan
from splitbrain.harness.systems.catalogue import ETCD, PYTHON_NODE, SIMULATED, load_system
from splitbrain.harness.systems.settings import WATCH_PROGRESS_MS, ClusterSettings
from splitbrain.harness.systems.system import System
from splitbrain.histories.random_stream import subseed
from splitbrain.nemesis.catalogue import KINDS
from splitbrain.nemesis.fault import AtStep, Latency, Partition


def capabilities_of(options: Options) -> frozenset[str]:
    """The kinds of faults that the system can suffer, by the methods of its class."""
    if options.system == SIMULATED:
        return frozenset(KINDS)
    made = _built_in_class(options.system) or load_system(options.system)
    if not isinstance(made, type):
        return frozenset(KINDS)  # a function that makes one: its faults fail when they begin
    return frozenset(name for name in KINDS if issubclass(made, KINDS[name].needs))


def _built_in_class(name: str) -> type | None:
    if name == PYTHON_NODE:
        from splitbrain.harness.systems.python_node import PythonNode

        return PythonNode
    if name == ETCD:
        from splitbrain.harness.systems.etcd import Etcd

        return Etcd
    return None


def check_program(options: Options) -> None:
    """Raise BadArguments, before a run has begun, where the program of the system that
    `options` name is not there."""
    if options.system != ETCD:
        return
    from splitbrain.harness.systems.etcd import find_binary, version_of

    try:
        version_of(find_binary(options.etcd_binary))
    except SystemFailed as problem:
        raise BadArguments(str(problem)) from problem


def make_system(options: Options, plan: Plan, folder: Path) -> System:
    """The system that `options` name, not started yet, its members' files in `folder`.

    A user's own, by a dotted path or an entry point, is called with `members`,
    `member_seeds`, `folder` and `options`. Raises BadArguments if there is none.
    """
    if options.system == PYTHON_NODE:
        return _python_node(options, plan, folder)
    if options.system == ETCD:
        return _etcd(options, plan, folder)
    make = load_system(options.system)
    return cast("System", make(
        members=plan.members, member_seeds=plan.member_seeds, folder=folder, options=options
    ))


def _python_node(options: Options, plan: Plan, folder: Path) -> System:
    from splitbrain.harness.systems.python_node import COMMAND, PythonNode

    flags, command = options.member_flags, COMMAND
    if options.mutant:
        command = mutant_command(options.mutant)
        flags = (*mutant_flags(options.mutant), *flags)
    settings = _settings(options, plan, folder, flags)
    admin = any(isinstance(one.fault, AtStep) for one in plan.faults)
    return PythonNode(settings, command, tracing=options.trace, admin=admin)


def _etcd(options: Options, plan: Plan, folder: Path) -> System:
    from splitbrain.harness.systems.etcd import Etcd

    return Etcd(_settings(options, plan, folder, options.member_flags), options.etcd_binary)


def _settings(
    options: Options,
    plan: Plan,
    folder: Path,
    flags: tuple[str, ...],
) -> ClusterSettings:
    return ClusterSettings(
        members=plan.members,
        folder=folder,
        seed=subseed(plan.seed, "links"),
        member_seeds=plan.member_seeds,
        heartbeat_ms=options.heartbeat_ms,
        election_ms=options.election_ms,
        proxied=needs_proxies(plan),
        watch_progress_ms=WATCH_PROGRESS_MS if plan.watchers else 0,
        extra_args=flags,
    )


def needs_proxies(plan: Plan) -> bool:
    """Whether any fault of the plan needs proxies between the members. Where none does
    there are none: they share the machine with the members and cost an eighth of an
    etcd's rate."""
    return any(
        isinstance(one.fault, Partition | Latency)
        or (isinstance(one.fault, AtStep) and one.fault.do == "isolate")
        for one in plan.faults
    )
