"""Schedules as text: what a file holds, and what a test can paste.

    fails by promises
    seed 7
    members n1 n2 n3, led by n1
    option mutant "vote_not_persisted"
    setting snapshot_count 3
    weather {"delay_us":[80,120],"loose":true}
    buggify
    0.25 ms  client 0  put on n2  {"op":"put","key":"r0","value":"0.1"}
    300 ms  kill n1 until 900 ms
    300 ms  partition leader {"how":"black_hole"} until 900 ms seed 17
    op 2  crash n1 before leader_wal for 800 ms
    lasts 2000 ms

A line each, in any order but that of faults, and of operations of one client at one
moment; empty lines and those that begin with "#" say nothing. Operations are numbered
from 1 on, in the order in which they begin. `led by`: if another member leads when the
load begins, the two change parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from splitbrain.harness.drawing.swarm import SETTINGS, Surroundings
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.options import DEFAULTS, Options, check, refuse_unknown
from splitbrain.harness.schedule.plan import Plan, PlannedOperation
from splitbrain.harness.schedule.schedule import (
    Schedule,
    TimedOperation,
    clients_of,
    member_seeds,
    settled_options,
)
from splitbrain.harness.schedule.watchers import WatcherPlan
from splitbrain.harness.simulation.network import Weather
from splitbrain.histories.service import AnyRequest
from splitbrain.nemesis.fault import STEP_ACTIONS, TARGETS, AtStep, Fault, PlannedFault
from splitbrain.node.failpoint import FAILPOINTS

SUFFIX = ".schedule"
FORMAT_LINE = "# A schedule of Splitbrain, format 1: splitbrain sim --schedule THIS_FILE"
DERIVED = (
    "system", "swarm", "nemesis", "nodes", "rate", "seed", "time_limit_s",
    "follower_share", "fault_pace", "store", "name",
)
"""Options that a schedule's other lines settle."""

_json = msgspec.json.Encoder().encode

# --- writing --------------------------------------------------------------------------


def write_schedule(schedule: Schedule, path: Path) -> None:
    path.write_text(f"{FORMAT_LINE}\n{as_text(schedule)}")


def as_text(schedule: Schedule) -> str:
    return "\n".join(_lines(schedule)) + "\n"


def _lines(schedule: Schedule) -> Iterator[str]:
    plan, around = schedule.plan, schedule.surroundings
    if schedule.fails_by:
        yield f"fails by {schedule.fails_by}"
    yield f"seed {plan.seed}"
    led = f", led by {plan.leader}" if plan.leader else ""
    yield f"members {' '.join(plan.members)}{led}"
    for name in Options.__struct_fields__:
        value = getattr(schedule.options, name)
        if name not in DERIVED and value != getattr(DEFAULTS, name):
            yield f"option {name} {_json(value).decode()}"
    for name, value in around.settings.items():
        if SETTINGS.get(name) != value:
            yield f"setting {name} {_json(value).decode()}"
    if around.weather != Weather():
        yield f"weather {_json(_changed(around.weather)).decode()}"
    if around.buggify:
        yield "buggify"
    for watcher in plan.watchers:
        yield f"watcher {_json(watcher).decode()}"
    yield from _events(schedule)
    yield f"lasts {plan.time_limit_ms} ms"


def _events(schedule: Schedule) -> Iterator[str]:
    """Operations and faults as they come."""
    lines: list[tuple[float, int, str]] = []
    for one in schedule.operations:
        lines.append((one.at_us, 1, _operation_line(one)))
    for planned in schedule.plan.faults:
        lines.append((planned.begin_ms * 1000, 0, _fault_line(planned)))
    # Stable: faults of one moment keep their order, and so do operations.
    for _, _, line in sorted(lines, key=lambda one: one[:2]):
        yield line


def _operation_line(one: TimedOperation) -> str:
    operation = one.operation
    to = f"follower {operation.member}" if operation.to_follower else f"n{operation.member + 1}"
    notes = ""
    if operation.expect_last_seen:
        notes += f" expecting {','.join(map(str, operation.expect_last_seen))}"
    if operation.revision_back:
        notes += f" back {operation.revision_back}"
    if operation.append_to_seen:
        notes += " appending"
    request = _json(operation.request).decode()
    at_ms = f"{one.at_us / 1000:.3f}".rstrip("0").rstrip(".")
    return f"{at_ms} ms  client {one.client}  {operation.f} on {to}{notes}  {request}"


def _fault_line(planned: PlannedFault) -> str:
    fault = planned.fault
    seed = f" seed {planned.seed}" if planned.seed else ""
    on = ",".join(fault.on) or fault.target
    if isinstance(fault, AtStep):
        edge, _, step = fault.failpoint.partition("_")
        visit = f" visit {fault.visit}" if fault.visit != 1 else ""
        when = f"op {fault.operation}" if fault.operation else f"{planned.begin_ms} ms"
        hold_ms = planned.end_ms - planned.begin_ms
        return f"{when}  {fault.do} {on} {edge} {step}{visit} for {hold_ms} ms{seed}"
    tag = str(fault.__struct_config__.tag)
    rest = {name: value for name, value in _changed(fault).items() if name not in ("on", "target")}
    said = f" {_json(rest).decode()}" if rest else ""
    return f"{planned.begin_ms} ms  {tag} {on}{said} until {planned.end_ms} ms{seed}"


def _changed(value: Any) -> dict[str, Any]:
    """The fields that are not as they are by default."""
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
    r"(?: expecting (?P<expecting>[\d,]+))?(?: back (?P<back>\d+))?(?P<appending> appending)?"
    r" +(?P<request>\{.*\})"
)
_STEP = re.compile(
    rf"(?:op (?P<op>\d+)|{_TIME}) +(?P<do>{'|'.join(STEP_ACTIONS)}) (?P<on>\S+) "
    rf"(?P<edge>before|after) (?P<step>\w+)(?: visit (?P<visit>\d+))? for (?P<hold>\d+) ms{_SEED}"
)
_FAULT = re.compile(
    rf"{_TIME} +(?P<tag>\w+) (?P<on>[\w,]+)(?: (?P<rest>\{{.*\}}))? until (?P<end>\d+) ms{_SEED}"
)
_MEMBERS = re.compile(r"members (?P<names>[\w ]+?)(?:, led by (?P<leader>\w+))?")


def read_schedule(path: Path) -> Schedule:
    """Raises BadArguments if it is none: which line, and what was expected."""
    try:
        return parse_schedule(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as problem:
        raise BadArguments(f"{path} cannot be read: {problem}") from problem


def parse_schedule(text: str, name: str = "the schedule") -> Schedule:
    """What `as_text` wrote, or a person did. Raises BadArguments."""
    reading = _Reading(name)
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.strip()
        if said and not said.startswith("#"):
            reading.take(number, said)
    return reading.schedule()


class _Reading:
    """What the lines so far add up to."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._line = ""
        self._words: dict[str, Any] = {}
        self._options: dict[str, Any] = {}
        self._settings: dict[str, Any] = dict(SETTINGS)
        self._operations: list[TimedOperation] = []
        self._faults: list[PlannedFault] = []
        self._watchers: list[WatcherPlan] = []
        self._leader = ""
        self._said: set[str] = set()
        """Words that may stand once."""

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
        operation = PlannedOperation(
            think_us=0,
            f=found["f"],
            request=self._decoded(found["request"], AnyRequest),
            member=member,
            to_follower=bool(kind),
            expect_last_seen=tuple(map(int, re.findall(r"\d+", found["expecting"] or ""))),
            revision_back=int(found["back"] or 0),
            append_to_seen=bool(found["appending"]),
        )
        at_us = round(float(found["at"]) * 1000)
        self._operations.append(TimedOperation(at_us, int(found["client"]), operation))
        return True

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
        self._faults.append(PlannedFault(begin_ms, end_ms, fault, int(found["seed"] or 0)))
        return True

    def _fault(self, line: str) -> bool:
        found = _FAULT.fullmatch(line)
        if found is None:
            return False
        rest = self._decoded(found["rest"], dict[str, Any])
        text = _json({"fault": found["tag"], **rest, **self._target(found["on"])}).decode()
        begin_ms, end_ms = round(float(found["at"])), int(found["end"])
        if end_ms < begin_ms:
            raise self._refuse("it ends before it begins")
        fault = self._decoded(text, Fault)
        self._faults.append(PlannedFault(begin_ms, end_ms, fault, int(found["seed"] or 0)))
        return True

    def _target(self, text: str) -> dict[str, Any]:
        return {"aim": text} if text in TARGETS else {"on": text.split(",")}

    def _word(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        once = "fails by" if line.startswith("fails by ") else word
        if once in ("members", "seed", "lasts", "fails by", "weather"):
            if once in self._said:
                raise self._refuse(f"`{once}` was said before")
            self._said.add(once)
        if (found := _MEMBERS.fullmatch(line)) is not None:
            names = tuple(found["names"].split())
            if names != tuple(f"n{number}" for number in range(1, len(names) + 1)):
                raise self._refuse("expected n1, n2 and so on")
            self._words["members"], self._leader = names, found["leader"] or ""
        elif found := re.fullmatch(r"(seed|lasts) (\d+)(?: ms)?", line):
            self._words[found[1]] = int(found[2])
        elif found := re.fullmatch(r"fails by (\w+)", line):
            self._words["fails_by"] = found[1]
        elif word in ("option", "setting"):
            name, _, value = rest.partition(" ")
            into = self._options if word == "option" else self._settings
            into[name] = self._decoded(value, Any)
        elif word == "watcher":
            self._watchers.append(self._decoded(rest, WatcherPlan))
        elif word == "weather":
            self._words["weather"] = self._decoded(rest, Weather)
        elif line == "buggify":
            self._words["buggify"] = True
        else:
            raise self._refuse(
                "not understood; expected `seed N`, `members n1 n2 …`, `lasts N ms`, "
                "`option NAME JSON`, an operation such as `5 ms  client 0  put on n1  "
                '{"op":"put","key":"a","value":"1"}` or a fault such as '
                "`10 ms  kill n1 until 900 ms` or `op 1  crash n1 before leader_wal for 500 ms`"
            )

    def schedule(self) -> Schedule:
        words = self._words
        missing = [name for name in ("seed", "members", "lasts") if name not in words]
        if missing:
            raise BadArguments(f"{self._name} says nothing of: {', '.join(missing)}")
        members = words["members"]
        plan = Plan(
            seed=words["seed"],
            members=members,
            member_seeds=member_seeds(words["seed"], members),
            clients=clients_of(self._operations),
            faults=tuple(self._faults),
            time_limit_ms=words["lasts"],
            leader=self._leader,
            watchers=tuple(self._watchers),
        )
        self._check_members(members)
        refuse_unknown(self._options, f"an option of a run, in {self._name}")
        try:
            options = msgspec.convert(self._options, Options, strict=False)
        except msgspec.ValidationError as problem:
            raise BadArguments(f"{self._name}: an option is wrong: {problem}") from problem
        options = settled_options(options, plan)
        check(options)
        around = Surroundings(
            self._settings, words.get("weather", Weather()), words.get("buggify", False)
        )
        return Schedule(options, plan, around, words.get("fails_by", ""))

    def _check_members(self, members: tuple[str, ...]) -> None:
        named = [name for one in self._faults for name in one.fault.on]
        named += [
            f"n{one.operation.member + 1}" for one in self._operations
            if not one.operation.to_follower
        ]
        numbers = [one.fault.operation for one in self._faults if isinstance(one.fault, AtStep)]
        if max(numbers, default=0) > len(self._operations):
            raise BadArguments(
                f"{self._name} has a fault at operation {max(numbers)}, and "
                f"{len(self._operations)} operations"
            )
        unknown = sorted({name for name in (*named, self._leader) if name and name not in members})
        if unknown:
            raise BadArguments(
                f"{self._name} speaks of {', '.join(unknown)}; its members are {', '.join(members)}"
            )
