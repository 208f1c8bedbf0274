"""Groups of failures: the failures that probably have one cause.

    store/groups/<name>.json       the group: its signatures, its smallest schedule, a decision
    store/groups/<name>.schedule   the smallest schedule that shows it, if it can be simulated

At first, a group contains the failures of one signature. After one of them was shrunk, the group is
joined with the group that has the signature of the shrunk run, because a small run often shows the
same bug in another way. The database of runs counts how often the failures of a group occurred.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.text import SUFFIX
from splitbrain.harness.store.signature import Signature
from splitbrain.harness.store.whole_file import write_json

GROUPS = "groups"
NAME = re.compile(r"\w[\w.-]*")
DIGEST_LETTERS = 4
FORMAT = 1


class Acceptance(msgspec.Struct, frozen=True):
    """The decision that a group is known and does not make a campaign invalid."""

    reason: str
    until: str
    """The last day, as YYYY-MM-DD. Afterwards the group counts again."""
    accepted: str
    """When the decision was made, ISO 8601."""

    def holds(self, today: date) -> bool:
        return today <= date.fromisoformat(self.until)


class Shape(msgspec.Struct, frozen=True):
    """What the smallest schedule of a group consists of."""

    workload: str
    members: int
    faults: tuple[str, ...]
    """The names of its faults, in the order in which they begin."""
    functions: tuple[str, ...]
    """The functions of its operations, in their order."""
    minimal: bool
    """Whether the search ended because no reduction made the schedule smaller. False: the budget
    was used up."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Failures that probably have one cause."""

    name: str
    signatures: tuple[Signature, ...]
    because: str
    """The anomaly of the first failure."""
    first: int
    """When the first failure started, in seconds since 1970."""
    first_commit: str = ""
    reproduce: str = ""
    """The command that repeats one of the failures."""
    failing: str = ""
    """The file of a failing schedule to shrink, relative to the store; "" if there is none."""
    shape: Shape | None = None
    """None if the group was not shrunk."""
    accepted: Acceptance | None = None
    format: int = FORMAT

    def known(self, today: date | None = None) -> bool:
        """Whether the group is accepted, and the acceptance has not expired."""
        today = today or datetime.now(UTC).date()
        return self.accepted is not None and self.accepted.holds(today)


class Groups:
    """The groups of a store. Each change is written at once."""

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
        """The groups, the oldest first."""
        return sorted(self._by_name.values(), key=lambda one: (one.first, one.name))

    def of(self, signature: Signature) -> Group | None:
        """The group of failures with `signature`."""
        name = self._names.get(signature)
        return None if name is None else self._by_name[name]

    def named(self, name: str) -> Group:
        """Raises BadArguments if there is no such group."""
        if name not in self._by_name:
            known = ", ".join(one.name for one in self.all()) or "there are none"
            raise BadArguments(f"no group of failures is named {name}; the groups: {known}")
        return self._by_name[name]

    def schedule_file(self, group: Group) -> Path:
        """The file of the smallest schedule, which exists if the group was shrunk."""
        return self._folder / f"{group.name}{SUFFIX}"

    def save(self, group: Group) -> None:
        """Add `group`, or replace the group of its name."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_json(self._folder / f"{group.name}.json", group)
        self._remember(group)

    def rename(self, name: str, new: str) -> Group:
        """Rename a group. Raises BadArguments if `new` is not a name, or is taken."""
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
        """A readable name for a new group with `signature`."""
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
