"""Reads and writes groups of failures. A group contains failures that probably have one cause.

    store/groups/<name>.json       the group: its signatures, its smallest schedule, a decision
    store/groups/<name>.schedule   the smallest schedule that shows it, if it can be simulated

At first, a group contains the failures with one signature (see `failure_signature.py`). A small run
often shows the same bug in another way. Therefore, after one of the failures was shrunk, the group
is joined with the group that has the signature of the shrunk run. The database of runs counts how
often the failures of a group occurred.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.text import SUFFIX
from splitbrain.harness.store.atomic_file import write_json
from splitbrain.harness.store.failure_signature import Signature

GROUPS = "groups"
NAME = re.compile(r"\w[\w.-]*")
DIGEST_LETTERS = 4
FORMAT = 1


class Acceptance(msgspec.Struct, frozen=True):
    """The user's decision to accept a group of failures as known, until a given day."""

    reason: str
    until: str
    """The last day of the acceptance, as YYYY-MM-DD."""
    accepted: str
    """The time of the decision, ISO 8601."""

    def holds(self, today: date) -> bool:
        """Return whether the acceptance is still in force on the day `today`."""
        return today <= date.fromisoformat(self.until)


class Shape(msgspec.Struct, frozen=True):
    """The members, faults and operations of the smallest schedule of a group."""

    workload: str
    members: int
    faults: tuple[str, ...]
    """The kinds of the schedule's faults, in the order in which they begin."""
    functions: tuple[str, ...]
    """The functions of the schedule's operations, in their order."""
    minimal: bool
    """Whether the search for a smaller schedule ended because no reduction was possible. False if
    the time of the search ended before."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A group of failures that probably have one cause."""

    name: str
    signatures: tuple[Signature, ...]
    because: str
    """The sentence of the anomaly of the first failure."""
    first: int
    """The time at which the first failure started, in seconds since 1970."""
    first_commit: str = ""
    reproduce: str = ""
    """The command that repeats one of the failures."""
    failing: str = ""
    """The file of a failing schedule that can be shrunk, relative to the store; "" if there is
    none."""
    shape: Shape | None = None
    """The members, faults and operations of the smallest schedule; None if the group was not
    shrunk."""
    accepted: Acceptance | None = None
    format: int = FORMAT

    def known(self, today: date | None = None) -> bool:
        """Return whether the group is accepted, and the acceptance has not expired."""
        today = today or datetime.now(UTC).date()
        return self.accepted is not None and self.accepted.holds(today)


class Groups:
    """The groups of failures in a store. Each change is written to the disk at once."""

    def __init__(self, store: Path) -> None:
        self._folder = store / GROUPS
        self._by_name: dict[str, Group] = {}
        self._names: dict[Signature, str] = {}
        for file in sorted(self._folder.glob("*.json")):
            try:
                self._remember(msgspec.json.decode(file.read_bytes(), type=Group))
            except msgspec.MsgspecError as problem:
                raise BadArguments(f"{file} is not a group of failures: {problem}") from problem

    def all(self) -> list[Group]:
        """Return the groups, the oldest first."""
        return sorted(self._by_name.values(), key=lambda one: (one.first, one.name))

    def of(self, signature: Signature) -> Group | None:
        """Return the group of failures with `signature`; None if there is none."""
        name = self._names.get(signature)
        return None if name is None else self._by_name[name]

    def named(self, name: str) -> Group:
        """Return the group called `name`. Raises BadArguments if there is no such group."""
        if name not in self._by_name:
            known = ", ".join(one.name for one in self.all()) or "there are none"
            raise BadArguments(f"no group of failures is named {name}; the groups: {known}")
        return self._by_name[name]

    def schedule_file(self, group: Group) -> Path:
        """Return the path of the smallest schedule of `group`.

        The file exists only if the group was shrunk.
        """
        return self._folder / f"{group.name}{SUFFIX}"

    def save(self, group: Group) -> None:
        """Add `group`, or replace the group that has the same name."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_json(self._folder / f"{group.name}.json", group)
        self._remember(group)

    def rename(self, name: str, new: str) -> Group:
        """Rename the group `name` to `new`, and return it.

        Raises BadArguments if `new` is not a valid name, or if another group has it.
        """
        group = self.named(name)
        if not NAME.fullmatch(new):
            raise BadArguments(f"{new!r}: expected letters, digits and the characters _ . -")
        if new in self._by_name:
            raise BadArguments(f"a group is already named {new}")
        renamed = msgspec.structs.replace(group, name=new)
        if self.schedule_file(group).is_file():
            self.schedule_file(group).rename(self.schedule_file(renamed))
        self.save(renamed)
        self._forget(group)
        return renamed

    def join(self, group: Group, other: Group) -> Group:
        """Add the failures of `other` to `group`, and remove `other`. `group` keeps its name."""
        joined = msgspec.structs.replace(
            group,
            signatures=tuple(dict.fromkeys((*group.signatures, *other.signatures))),
            first=min(group.first, other.first),
            accepted=group.accepted or other.accepted,
        )
        if group.shape is None and other.shape is not None:
            joined = msgspec.structs.replace(joined, shape=other.shape)
            if self.schedule_file(other).is_file():
                self.schedule_file(other).rename(self.schedule_file(group))
        self.schedule_file(other).unlink(missing_ok=True)
        self._forget(other)
        self.save(joined)
        return joined

    def free_name(self, signature: Signature) -> str:
        """Make a readable name for a new group with `signature`. No other group has this name."""
        digest = hashlib.sha256(signature.text.encode()).hexdigest()[:DIGEST_LETTERS]
        words = "-".join(re.findall(r"\w+", f"{signature.checker} {signature.kind}".lower()))
        name = f"{words}-{digest}"
        number = 2
        while name in self._by_name:
            name, number = f"{words}-{digest}-{number}", number + 1
        return name

    def _remember(self, group: Group) -> None:
        self._by_name[group.name] = group
        self._names.update(dict.fromkeys(group.signatures, group.name))

    def _forget(self, group: Group) -> None:
        del self._by_name[group.name]
        (self._folder / f"{group.name}.json").unlink(missing_ok=True)
