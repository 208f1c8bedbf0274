"""Reads and writes the sidecar file of a history: the states of the members at the end.

A run's folder contains the states in `n1/state.json` and so on. A history `kv.jsonl` outside a
run's folder may instead have a sidecar file `kv.members.jsonl` in the same folder, with one
`MemberState` on each line. In a sidecar file, `"changes_of": "n1"` means that the changes are equal
to those of the member n1 of an earlier line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Generic

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.garbage_collection import collector_paused
from splitbrain.histories.kv import KeyT
from splitbrain.histories.member_state import Change, MemberState
from splitbrain.histories.shared_keys import SharedKeyDecoder


class _Line(MemberState, Generic[KeyT], frozen=True, omit_defaults=True):
    changes: tuple[Change[KeyT], ...] = ()  # type: ignore[assignment]
    changes_of: str = ""


def members_path(history: Path) -> Path:
    """Return the path of the sidecar file of the history `history`."""
    stem = history.name.removesuffix(".jsonl")
    return history.with_name(f"{stem}.members.jsonl")


def write_members(history: Path, members: Sequence[MemberState]) -> None:
    """Write the sidecar file of `history`; removes it if there are no members."""
    path = members_path(history)
    if not members:
        path.unlink(missing_ok=True)
        return
    encode = msgspec.json.Encoder().encode
    first_with: dict[int, str] = {}
    with path.open("wb") as out:
        for member in members:
            first = first_with.setdefault(id(member.changes), member.member)
            line = _Line(**msgspec.structs.asdict(member))
            if first != member.member and member.changes:
                line = msgspec.structs.replace(line, changes=(), changes_of=first)
            out.write(encode(line) + b"\n")


def read_members(history: Path) -> tuple[MemberState, ...]:
    """Return the states in the sidecar file of `history`, or () if there is no such file.

    Raises HistoryError for a line that is not valid.
    """
    path = members_path(history)
    if not path.is_file():
        return ()
    decoder: SharedKeyDecoder[_Line] = SharedKeyDecoder(_Line)
    changes_by_member: dict[str, tuple[Change, ...]] = {}
    members: list[MemberState] = []
    with collector_paused(), path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                states = decoder.decode_lines(line)
            except msgspec.MsgspecError as problem:
                raise HistoryError(
                    f"{path}:{number}: not the state of a member: {problem}. Expected a JSON "
                    'object such as {"member":"n1","revision":7,"changes":[]} on each line'
                ) from problem
            for state in states:
                source = state.changes_of
                if source and source not in changes_by_member:
                    raise HistoryError(
                        f'{path}:{number}: "changes_of" is {source!r}; expected the name '
                        "of a member of an earlier line"
                    )
                changes = changes_by_member[source] if source else state.changes
                changes_by_member[state.member] = changes
                fields = msgspec.structs.asdict(state)
                del fields["changes_of"]
                members.append(MemberState(**{**fields, "changes": changes}))
    return tuple(members)
