"""What members held at the end, beside a history that stands in a file of its own.

A run's folder has `n1/state.json` and so on. A bare `kv.jsonl` may have `kv.members.jsonl`
beside it: one `MemberState` a line, where `"changes_of": "n1"` says that a member holds
the changes of one named before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.garbage_collection import collector_paused
from splitbrain.histories.member_state import Change, MemberState


class _Line(MemberState, frozen=True, omit_defaults=True):
    changes_of: str = ""


def members_path(history: Path) -> Path:
    """Where the members' states of the bare history `history` stand."""
    stem = history.name.removesuffix(".jsonl")
    return history.with_name(f"{stem}.members.jsonl")


def write_members(history: Path, members: Sequence[MemberState]) -> None:
    """Write the members' states beside `history`; without any, no file is left there."""
    path = members_path(history)
    if not members:
        path.unlink(missing_ok=True)
        return
    encode = msgspec.json.Encoder().encode
    holders: dict[int, str] = {}
    with path.open("wb") as out:
        for member in members:
            holder = holders.setdefault(id(member.changes), member.member)
            line = _Line(**msgspec.structs.asdict(member))
            if holder != member.member and member.changes:
                line = msgspec.structs.replace(line, changes=(), changes_of=holder)
            out.write(encode(line) + b"\n")


def read_members(history: Path) -> tuple[MemberState, ...]:
    """The members' states beside `history`; () if there are none. Raises HistoryError."""
    path = members_path(history)
    if not path.is_file():
        return ()
    decoder = msgspec.json.Decoder(_Line)
    held: dict[str, tuple[Change, ...]] = {}
    members: list[MemberState] = []
    with collector_paused(), path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                state = decoder.decode(line)
            except msgspec.MsgspecError as problem:
                raise HistoryError(
                    f"{path}:{number}: not a member's state: {problem}"
                ) from problem
            if state.changes_of and state.changes_of not in held:
                raise HistoryError(
                    f"{path}:{number}: changes_of {state.changes_of!r} names no member of an "
                    "earlier line"
                )
            changes = held[state.changes_of] if state.changes_of else state.changes
            held[state.member] = changes
            fields = msgspec.structs.asdict(state)
            del fields["changes_of"]
            members.append(MemberState(**{**fields, "changes": changes}))
    return tuple(members)
