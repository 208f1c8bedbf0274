"""Schedules as text: the content of a `.schedule` file, or a string in a test.

    fails by raft_safety
    seed 7
    members n1 n2 n3, led by n1
    option mutant "vote_not_persisted"
    setting snapshot_count 3
    network {"delay_us":[80,120],"loose":true}
    buggify
    0.25 ms  client 0  put on n2  {"op":"put","key":"r0","value":"0.1"}
    300 ms  kill n1 until 900 ms
    300 ms  partition leader {"how":"black_hole"} until 900 ms seed 17
    op 2  crash n1 before leader_wal for 800 ms
    lasts 2000 ms

Each line is one statement. The order of lines matters only for faults, and for operations of
one client at the same time. Empty lines and lines that begin with "#" are ignored. Operations
are numbered from 1 in the order in which they begin. `led by n1` names the expected leader
(`Schedule.leader`). The reference is `docs/reference/schedules.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.network_and_disk_conditions import (
    IDEAL_DISK,
    IDEAL_NETWORK,
    DiskConditions,
    NetworkConditions,
)
from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.harness.schedule.options import DEFAULTS, Options, check, refuse_unknown
from splitbrain.harness.schedule.schedule import (
    FORMAT,
    SIMULATED,
    Schedule,
    TimedOperation,
    clients_of,
    default_settings,
    fixed,
    member_seeds,
)
from splitbrain.harness.schedule.watchers import ScheduledWatcher
from splitbrain.histories.service_operation import AnyRequest
from splitbrain.nemesis.fault import STEP_ACTIONS, AtStep, Fault, ScheduledFault
from splitbrain.nemesis.fault_target import TARGETS
from splitbrain.nemesis.moment import MOMENT_EVENTS, Moment
from splitbrain.node.failpoint import FAILPOINTS

SUFFIX = ".schedule"
FORMAT_LINE = (
    f"# A schedule of Splitbrain, format {FORMAT}: splitbrain sim --schedule THIS_FILE"
)
FORMATS_READ = (1, FORMAT)
RENAMED_CHECKERS = {"promises": "raft_safety"}
"""The names of the checkers in format 1, with their present names."""
DERIVED = (
    "swarm", "nemesis", "aim", "nodes", "rate", "seed", "time_limit_s", "follower_share",
    "bound_share", "fault_pace", "store", "name", "keep_data",
)
"""Options for which a schedule has no line: other lines determine them, or they change nothing."""

FAULT_NAMES = tuple(
    str(kind.__struct_config__.tag) for kind in get_args(Fault) if kind is not AtStep
)

_json = msgspec.json.Encoder().encode

# --- writing --------------------------------------------------------------------------


def write_schedule(schedule: Schedule, path: Path, comment: str = "") -> None:
    """Write `schedule` to the file `path`, with `comment` as one line above the statements."""
    note = f"#\n# {' '.join(comment.split())}\n\n" if comment else ""
    path.write_text(f"{FORMAT_LINE}\n{note}{as_text(schedule)}")


def as_text(schedule: Schedule) -> str:
    """Return the statements of `schedule`, one on each line. `parse_schedule` reads them."""
    return "\n".join(_lines(schedule)) + "\n"


def _lines(schedule: Schedule) -> Iterator[str]:
    if schedule.fails_by:
        yield f"fails by {schedule.fails_by}"
    yield f"seed {schedule.seed}"
    led = f", led by {schedule.leader}" if schedule.leader else ""
    yield f"members {' '.join(schedule.members)}{led}"
    if schedule.system != SIMULATED:
        yield f"option system {_json(schedule.system).decode()}"
    for name in Options.__struct_fields__:
        value = getattr(schedule.options, name)
        if name not in (*DERIVED, "system") and value != getattr(DEFAULTS, name):
            yield f"option {name} {_json(value).decode()}"
    settings = default_settings(schedule.system)
    for name, value in schedule.settings.items():
        if settings.get(name) != value:
            yield f"setting {name} {_json(value).decode()}"
    if schedule.network != IDEAL_NETWORK:
        yield f"network {_json(_changed(schedule.network)).decode()}"
    if schedule.disk != IDEAL_DISK:
        yield f"disk {_json(_changed(schedule.disk)).decode()}"
    if schedule.deposed_longer_by:
        yield f"deposed longer by {schedule.deposed_longer_by}"
    if schedule.buggify:
        yield "buggify"
    for watcher in schedule.watchers:
        yield f"watcher {_json(watcher).decode()}"
    yield from _events(schedule)
    yield f"lasts {schedule.time_limit_ms} ms"


def _events(schedule: Schedule) -> Iterator[str]:
    """Yield the lines of the operations and faults, ordered by time."""
    lines: list[tuple[float, int, str]] = []
    for one in schedule.operations:
        lines.append((one.at_us, 1, _operation_line(one)))
    for scheduled in schedule.faults:
        lines.append((scheduled.begin_ms * 1000, 0, _fault_line(scheduled)))
    # The sort is stable, so operations at the same time keep their order, and so do faults.
    for _, _, line in sorted(lines, key=lambda one: one[:2]):
        yield line


def _operation_line(one: TimedOperation) -> str:
    operation = one.operation
    to = f"follower {operation.member}" if operation.to_follower else f"n{operation.member + 1}"
    notes = ""
    if operation.expect_last_seen:
        notes += f" expecting {','.join(map(str, operation.expect_last_seen))}"
    if operation.revision_back is not None:
        notes += f" back {operation.revision_back}"
    if operation.ranges_back:
        pairs = (f"{place}:{back}" for place, back in operation.ranges_back)
        notes += f" ranges back {','.join(pairs)}"
    if operation.user:
        notes += f" as {operation.user}"
        notes += f"/{operation.password}" if operation.password else ""
    if operation.continue_list:
        notes += " continuing"
    if operation.append_to_seen:
        notes += " appending"
    if operation.after_ok:
        notes += " after ok"
    request = _json(operation.request).decode()
    at_ms = f"{one.at_us / 1000:.3f}".rstrip("0").rstrip(".")
    return f"{at_ms} ms  client {one.client}  {operation.f} on {to}{notes}  {request}"


def _fault_line(scheduled: ScheduledFault) -> str:
    fault = scheduled.fault
    seed = f" seed {scheduled.seed}" if scheduled.seed else ""
    on = ",".join(fault.on) or fault.target
    if isinstance(fault, AtStep):
        edge, _, step = fault.failpoint.partition("_")
        visit = f" visit {fault.visit}" if fault.visit != 1 else ""
        when = f"op {fault.operation}" if fault.operation else f"{scheduled.begin_ms} ms"
        hold_ms = scheduled.end_ms - scheduled.begin_ms
        return f"{when}  {fault.do} {on} {edge} {step}{visit} for {hold_ms} ms{seed}"
    tag = str(fault.__struct_config__.tag)
    rest = {name: value for name, value in _changed(fault).items() if name not in ("on", "target")}
    fields = f" {_json(rest).decode()}" if rest else ""
    when = ""
    if (moment := scheduled.when) is not None:
        of = f" of {moment.of}" if moment.of else ""
        when = f" at {moment.event}{of} {moment.nth}"
    return f"{scheduled.begin_ms} ms  {tag} {on}{fields}{when} until {scheduled.end_ms} ms{seed}"


def _changed(value: Any) -> dict[str, Any]:
    """Return the fields of a struct that differ from their defaults."""
    plain = type(value)()
    return {
        name: getattr(value, name) for name in value.__struct_fields__
        if getattr(value, name) != getattr(plain, name)
    }


# --- reading --------------------------------------------------------------------------

_TIME = r"(?P<at>\d+(?:\.\d+)?) ms"
_SEED = r"(?: seed (?P<seed>\d+))?"
_OPERATION = re.compile(
    rf"{_TIME} +client (?P<client>\d+) +(?P<f>\S+) on (?P<to>follower \d+|n\d+)"
    r"(?: expecting (?P<expecting>[\d,]+))?(?: back (?P<back>-?\d+))?"
    r"(?: ranges back (?P<ranges>[\d:,-]+))?(?: as (?P<user>[\w.-]+)(?:/(?P<password>[\w.-]+))?)?"
    r"(?P<continuing> continuing)?(?P<appending> appending)?(?P<after_ok> after ok)?"
    r" +(?P<request>\{.*\})"
)
_STEP = re.compile(
    rf"(?:op (?P<op>\d+)|{_TIME}) +(?P<do>{'|'.join(STEP_ACTIONS)}) (?P<on>\S+) "
    rf"(?P<edge>before|after) (?P<step>\w+)(?: visit (?P<visit>\d+))? for (?P<hold>\d+) ms{_SEED}"
)
_FAULT = re.compile(
    rf"{_TIME} +(?P<tag>\w+) (?P<on>[\w,]+)(?: (?P<rest>\{{.*\}}))?"
    r"(?: at (?P<event>\w+)(?: of (?P<of>\w+))?(?: (?P<nth>[1-9]\d*))?)?"
    rf" until (?P<end>\d+) ms{_SEED}"
)
_MEMBERS = re.compile(r"members (?P<names>[\w ]+?)(?:, led by (?P<leader>\w+))?")


def read_schedule(path: Path) -> Schedule:
    """Read the schedule in the file `path`.

    Raises BadArguments if the file cannot be read, or if its text is not a schedule.
    """
    try:
        return parse_schedule(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as problem:
        raise BadArguments(f"{path} cannot be read: {problem}") from problem


def parse_schedule(text: str, name: str = "the schedule") -> Schedule:
    """Return the schedule that `text` describes.

    `name` is the name of the text in error messages. Raises BadArguments if the text is not a
    schedule. The error quotes the wrong line and says what was expected.
    """
    reader = _Reader(name)
    for number, line in enumerate(text.splitlines(), start=1):
        statement = line.strip()
        if statement.startswith("#"):
            _check_format(statement, name)
        elif statement:
            reader.take(number, statement)
    return reader.schedule()


def _check_format(comment: str, name: str) -> None:
    found = re.match(r"# A schedule of Splitbrain, format (\d+)", comment)
    if found is not None and int(found[1]) not in FORMATS_READ:
        raise BadArguments(
            f"{name} has format {found[1]}; this Splitbrain reads the formats "
            f"{' and '.join(map(str, FORMATS_READ))}. Use the version that wrote it"
        )


class _Reader:
    """Collects the statements of a schedule, line by line."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._line = ""
        self._words: dict[str, Any] = {}
        self._options: dict[str, Any] = {}
        self._settings: dict[str, Any] = {}
        self._operations: list[TimedOperation] = []
        self._faults: list[ScheduledFault] = []
        self._watchers: list[ScheduledWatcher] = []
        self._leader = ""
        self._once: set[str] = set()
        """The statements that were read and must not appear a second time."""

    def take(self, number: int, line: str) -> None:
        self._line = f"{self._name}, line {number}: {line!r}"
        if not any(take(line) for take in (self._operation, self._step, self._fault)):
            self._word(line)

    def _refuse(self, why: str) -> BadArguments:
        return BadArguments(f"{self._line}: {why}")

    def _decoded(self, text: str | None, kind: Any) -> Any:
        try:
            return msgspec.json.decode(text or "{}", type=kind)
        except msgspec.MsgspecError as problem:
            raise self._refuse(str(problem)) from problem

    def _operation(self, line: str) -> bool:
        found = _OPERATION.fullmatch(line)
        if found is None:
            return False
        kind, _, digits = found["to"].rpartition(" ")
        member = int(digits) if kind else int(digits.removeprefix("n")) - 1
        if member < 0:
            raise self._refuse("members are numbered from n1 on")
        operation = ScheduledOperation(
            think_us=0,
            f=found["f"],
            request=self._decoded(found["request"], AnyRequest),
            member=member,
            to_follower=bool(kind),
            expect_last_seen=tuple(map(int, re.findall(r"\d+", found["expecting"] or ""))),
            revision_back=None if found["back"] is None else int(found["back"]),
            ranges_back=self._ranges_back(found["ranges"]),
            user=found["user"] or "",
            password=found["password"] or "",
            continue_list=bool(found["continuing"]),
            append_to_seen=bool(found["appending"]),
            after_ok=bool(found["after_ok"]),
        )
        at_us = round(float(found["at"]) * 1000)
        self._operations.append(TimedOperation(at_us, int(found["client"]), operation))
        return True

    def _ranges_back(self, text: str | None) -> tuple[tuple[int, int], ...]:
        pairs = [re.fullmatch(r"(\d+):(-?\d+)", one) for one in (text or "").split(",") if one]
        if None in pairs:
            raise self._refuse("expected pairs such as `ranges back 0:5,2:-1`")
        return tuple((int(one[1]), int(one[2])) for one in pairs if one is not None)

    def _step(self, line: str) -> bool:
        found = _STEP.fullmatch(line)
        if found is None:
            return False
        failpoint = f"{found['edge']}_{found['step']}"
        if failpoint not in FAILPOINTS:
            raise self._refuse(f"no failpoint {failpoint}; there are {', '.join(FAILPOINTS)}")
        fault = self._decoded(
            _json({
                "fault": "step", "failpoint": failpoint, "do": found["do"],
                "operation": int(found["op"] or 0), "visit": int(found["visit"] or 1),
                **self._target(found["on"]),
            }).decode(),
            Fault,
        )
        begin_ms = round(float(found["at"] or 0))
        end_ms = begin_ms + int(found["hold"])
        self._faults.append(ScheduledFault(begin_ms, end_ms, fault, int(found["seed"] or 0)))
        return True

    def _fault(self, line: str) -> bool:
        found = _FAULT.fullmatch(line)
        if found is None:
            return False
        if found["tag"] not in FAULT_NAMES:
            raise self._refuse(
                f"there is no fault {found['tag']}; there are {', '.join(FAULT_NAMES)}"
            )
        rest = self._decoded(found["rest"], dict[str, Any])
        text = _json({"fault": found["tag"], **rest, **self._target(found["on"])}).decode()
        begin_ms, end_ms = round(float(found["at"])), int(found["end"])
        if end_ms < begin_ms:
            raise self._refuse("the fault ends before it begins")
        fault = self._decoded(text, Fault)
        seed, when = int(found["seed"] or 0), self._moment(found)
        self._faults.append(ScheduledFault(begin_ms, end_ms, fault, seed, when=when))
        return True

    def _moment(self, found: re.Match[str]) -> Moment | None:
        event = found["event"]
        if event is None:
            return None
        if event not in MOMENT_EVENTS:
            raise self._refuse(
                f"no fault can wait for {event}; expected {', '.join(MOMENT_EVENTS)}"
            )
        return Moment(event, int(found["nth"] or 1), found["of"] or "")

    def _target(self, text: str) -> dict[str, Any]:
        return {"target": text} if text in TARGETS else {"on": text.split(",")}

    def _word(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        self._refuse_repetition("fails by" if line.startswith("fails by ") else word)
        if (found := _MEMBERS.fullmatch(line)) is not None:
            names = tuple(found["names"].split())
            if names != tuple(f"n{number}" for number in range(1, len(names) + 1)):
                raise self._refuse("expected n1, n2 and so on")
            self._words["members"], self._leader = names, found["leader"] or ""
        elif found := re.fullmatch(r"(seed|lasts) (\d+)(?: ms)?", line):
            self._words[found[1]] = int(found[2])
        elif found := re.fullmatch(r"fails by (\w+)", line):
            self._words["fails_by"] = RENAMED_CHECKERS.get(found[1], found[1])
        elif word in ("option", "setting"):
            name, _, value = rest.partition(" ")
            into = self._options if word == "option" else self._settings
            into[name] = self._decoded(value, Any)
        elif word == "watcher":
            self._watchers.append(self._decoded(rest, ScheduledWatcher))
        elif word == "network":
            self._words["network"] = self._decoded(rest, NetworkConditions)
        elif word == "disk":
            self._words["disk"] = self._decoded(rest, DiskConditions)
        elif found := re.fullmatch(r"deposed longer by (\d+)", line):
            self._words["deposed_longer_by"] = int(found[1])
        elif word == "weather":
            self._weather(rest)
        elif line == "buggify":
            self._words["buggify"] = True
        else:
            raise self._refuse(
                "not understood; expected `seed N`, `members n1 n2 …`, `lasts N ms`, "
                "`option NAME JSON`, an operation such as `5 ms  client 0  put on n1  "
                '{"op":"put","key":"a","value":"1"}` or a fault such as '
                "`10 ms  kill n1 until 900 ms` or `op 1  crash n1 before leader_wal for 500 ms`"
            )

    def _refuse_repetition(self, word: str) -> None:
        if word not in (
            "members", "seed", "lasts", "fails by", "network", "disk", "deposed", "weather"
        ):
            return
        if word in self._once:
            raise self._refuse(f"`{word}` appears twice")
        self._once.add(word)

    def _weather(self, text: str) -> None:
        """Read the statement `weather` of format 1.

        It contains the fields of the statements `network` and `disk`, and `deposed_longer_by`.
        """
        fields = self._decoded(text, dict[str, Any])
        disk = {name: fields.pop(name) for name in ("sync_ms", "commit_ms") if name in fields}
        self._words["deposed_longer_by"] = fields.pop("deposed_longer_by", 0)
        self._words["disk"] = self._decoded(_json(disk).decode(), DiskConditions)
        self._words["network"] = self._decoded(_json(fields).decode(), NetworkConditions)

    def schedule(self) -> Schedule:
        words = self._words
        missing = [name for name in ("seed", "members", "lasts") if name not in words]
        if missing:
            raise BadArguments(f"{self._name} has no line for: {', '.join(missing)}")
        members = words["members"]
        self._check_members(members)
        options = self._checked_options()
        return fixed(Schedule(
            options=options,
            seed=words["seed"],
            members=members,
            member_seeds=member_seeds(words["seed"], members),
            clients=clients_of(self._operations),
            faults=tuple(self._faults),
            time_limit_ms=words["lasts"],
            leader=self._leader,
            watchers=tuple(self._watchers),
            settings={**default_settings(options.system), **self._settings},
            network=words.get("network", IDEAL_NETWORK),
            disk=words.get("disk", IDEAL_DISK),
            deposed_longer_by=words.get("deposed_longer_by", 0),
            buggify=words.get("buggify", False),
            fails_by=words.get("fails_by", ""),
        ))

    def _checked_options(self) -> Options:
        given = {"system": SIMULATED, **self._options}
        refuse_unknown(given, f"an option of a run, in {self._name}")
        derived = sorted(set(given) & set(DERIVED))
        if derived:
            raise BadArguments(
                f"{self._name}: the option {derived[0]} is determined by the other lines of a "
                "schedule; remove its line"
            )
        try:
            options = msgspec.convert(given, Options, strict=False)
        except msgspec.ValidationError as problem:
            raise BadArguments(f"{self._name}: an option is wrong: {problem}") from problem
        check(options)
        return options

    def _check_members(self, members: tuple[str, ...]) -> None:
        named = [name for one in self._faults for name in one.fault.on]
        named += [
            f"n{one.operation.member + 1}" for one in self._operations
            if not one.operation.to_follower
        ]
        numbers = [one.fault.operation for one in self._faults if isinstance(one.fault, AtStep)]
        if max(numbers, default=0) > len(self._operations):
            raise BadArguments(
                f"{self._name} has a fault at operation {max(numbers)}, but only "
                f"{len(self._operations)} operations"
            )
        unknown = sorted({name for name in (*named, self._leader) if name and name not in members})
        if unknown:
            raise BadArguments(
                f"{self._name} names {', '.join(unknown)}; its members are {', '.join(members)}"
            )
