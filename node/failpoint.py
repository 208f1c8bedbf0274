"""Implements failpoints: named places in the member's code where a test can inject a failure.

There is a failpoint before and after each step of the write path, and before and after each step
of taking or installing a snapshot.

A failpoint is off, or it has a chain of terms. As in gofail, "->" separates the terms. At each
visit of the failpoint, the first term that applies is executed:

    off         nothing happens
    sleep(MS)   wait for MS milliseconds
    panic       the process ends at once, as if killed
    pause       the process stops, as by SIGSTOP, until it is continued
    error       the step fails
    N*term      applies to the first N visits
    N#term      applies only to the N-th visit
    P%term      applies with a probability of P percent

Some examples are:

    before_leader_wal=panic
    after_replicate=sleep(200)
    before_apply_mvcc=3#panic
    after_client_request=2*off->error

Failpoints are set by the environment variable `SPLITBRAIN_FAILPOINTS`, with entries separated by
";", or over the admin endpoint, which is off by default.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol

STEPS = (
    "client_request",
    "follower_forward",
    "leader_receive",
    "leader_wal",
    "replicate",
    "follower_wal",
    "quorum_ack",
    "leader_commit",
    "follower_commit",
    "apply_notify",
    "apply_mvcc",
    "backend_flush",
    "respond",
)
"""The eleven steps of the write path. Steps 4 and 10 consist of two parts."""

RECEIVE_STEPS = ("snapshot_receive", "snapshot_commit", "snapshot_restore")
"""The steps of installing a leader's snapshot.

In the step `snapshot_receive`, the snapshot becomes durable, with its mark in the log. A part of
this step is `snapshot_commit`: the hard state with the snapshot's commit index becomes durable, so
that a restart uses the snapshot. In the step `snapshot_restore`, the snapshot replaces the backend.
"""

SNAPSHOT_STEPS = ("snapshot_take", *RECEIVE_STEPS)
"""The steps of snapshots. In the step `snapshot_take`, a member records its backend as a snapshot,
and removes older snapshots and segments."""

FAILPOINTS = tuple(
    f"{edge}_{step}" for step in (*STEPS, *SNAPSHOT_STEPS) for edge in ("before", "after")
)

ENVIRONMENT_VARIABLE = "SPLITBRAIN_FAILPOINTS"

SLEEP_MS_MAX = 600_000

PANICS = "a failpoint ends this member"
"""The last line in the log of a member that a failpoint has ended by `panic`."""

_TERM = re.compile(
    r"(?:(?P<percent>\d+(?:\.\d+)?)%)?(?:(?P<count>\d+)(?P<how>[*#]))?"
    r"(?P<action>off|panic|pause|error|sleep\((?P<ms>\d+)\))"
)


class FailpointError(Exception):
    """A failpoint with the term `error` was reached, so the step fails."""


class Clock(Protocol):
    """The methods of a member's clock that failpoints use."""

    async def sleep(self, seconds: float) -> None: ...


class Host(Protocol):
    """The parts of a `World` that a failpoint uses."""

    @property
    def clock(self) -> Clock: ...

    @property
    def random(self) -> Random: ...

    def log(self, level: str, message: str, **fields: object) -> None: ...

    def crash(self) -> None: ...

    def stand_still(self, place: str) -> None: ...


@dataclass(slots=True)
class Term:
    """One term of a chain, such as `3#panic`, and the number of its visits so far."""

    action: Literal["off", "panic", "pause", "error", "sleep"]
    sleep_ms: int = 0
    percent: float = 100.0
    times_max: int | None = None
    only_visit: int | None = None
    visits: int = 0

    def applies(self, random: Random) -> bool:
        """Count a visit, and return whether the term applies to this visit."""
        self.visits += 1
        if self.times_max is not None and self.visits > self.times_max:
            return False
        if self.only_visit is not None and self.visits != self.only_visit:
            return False
        return self.percent >= 100.0 or random.random() * 100.0 < self.percent


def parse(text: str) -> tuple[Term, ...]:
    """Parse a chain of terms, such as "2*off->error". Raises ValueError.

    The error contains the given text and the expected form.
    """
    return tuple(_parse_term(part.strip()) for part in text.split("->"))


def _parse_term(text: str) -> Term:
    match = _TERM.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not a failpoint term: expected off, panic, pause, error or sleep(MS), "
            "optionally with P%, N* or N# before it, for example 3#panic"
        )
    sleep_ms = int(match["ms"] or 0)
    if sleep_ms > SLEEP_MS_MAX:
        raise ValueError(f"{text!r} sleeps longer than the maximum of {SLEEP_MS_MAX} ms")
    count = int(match["count"]) if match["count"] else None
    word = match["action"].partition("(")[0]
    action: Literal["off", "panic", "pause", "error", "sleep"]
    match word:
        case "off" | "panic" | "pause" | "error" | "sleep":
            action = word
        case _:
            raise AssertionError(word)
    return Term(
        action,
        sleep_ms=sleep_ms,
        percent=float(match["percent"]) if match["percent"] else 100.0,
        times_max=count if match["how"] == "*" else None,
        only_visit=count if match["how"] == "#" else None,
    )


def delay_s(text: str) -> float:
    """Return the longest sleep of any term in a chain of terms, in seconds.

    A single visit of the failpoint executes only one term, so it sleeps no longer than this.
    """
    return max(term.sleep_ms for term in parse(text)) / 1000


def parse_all(text: str) -> dict[str, str]:
    """Parse `NAME=TERMS;NAME=TERMS`, and return the terms by the failpoints' names.

    Raises ValueError for an unknown name or term.
    """
    found: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, terms = entry.partition("=")
        if not equals:
            raise ValueError(f"{entry!r} does not set a failpoint: expected NAME=TERM")
        _known(name.strip())
        parse(terms.strip())
        found[name.strip()] = terms.strip()
    return found


def _known(name: str) -> str:
    if name not in FAILPOINTS:
        raise ValueError(
            f"there is no failpoint {name!r}: expected before_STEP or after_STEP, "
            f"where STEP is one of {', '.join((*STEPS, *SNAPSHOT_STEPS))}"
        )
    return name


class Failpoints:
    """The failpoints of one member.

    `armed` is True if any failpoint is set. If it is False, a step only checks this flag.
    """

    def __init__(self, host: Host, settings: dict[str, str] | None = None) -> None:
        self._host = host
        self._terms: dict[str, tuple[str, tuple[Term, ...]]] = {}
        self.armed = False
        for name, text in (settings or {}).items():
            self.set(name, text)

    def set(self, name: str, term: str) -> None:
        """Set the failpoint `name` to a term.

        Raises ValueError if the name or the term is unknown.
        """
        self._terms[_known(name)] = (term, parse(term))
        self.armed = True

    def clear(self, name: str) -> None:
        self._terms.pop(_known(name), None)
        self.armed = bool(self._terms)

    def list(self) -> dict[str, str]:
        return {name: text for name, (text, _) in sorted(self._terms.items())}

    async def reach(self, name: str) -> None:
        """Visit the failpoint `name`: execute the first of its terms that applies.

        Raises FailpointError for the term `error`. The term `panic` ends the process.
        """
        if name not in self._terms:
            return
        for term in self._terms[name][1]:
            if not term.applies(self._host.random):
                continue
            if term.action == "sleep":
                await self._host.clock.sleep(term.sleep_ms / 1000)
            elif term.action == "panic":
                self._host.log("fatal", PANICS, failpoint=name)
                self._host.crash()
            elif term.action == "pause":
                self._host.stand_still(name)
                # A simulated process stops at its next await.
                await self._host.clock.sleep(0)
            elif term.action == "error":
                raise FailpointError(f"failpoint {name}")
            return
