"""The digest of a run: SHA-256 over its history, and the state and trace of every member.

Two runs of the same seed have the same digest. It does not depend on the process, on PYTHONHASHSEED
or on the version of CPython. If the digests of two runs differ, `first_difference` finds the first
event that differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from splitbrain.harness.store.run_folder import RunFolder


def digest(folder: Path, members: Sequence[str]) -> str:
    """Return the digest of the run in `folder`, as 64 hexadecimal digits."""
    found = hashlib.sha256()
    for path in digested(folder, members):
        found.update(str(path.relative_to(folder)).encode() + b"\0")
        found.update(path.read_bytes() if path.exists() else b"")
        found.update(b"\0")
    return found.hexdigest()


def digested(folder: Path, members: Sequence[str]) -> list[Path]:
    """Return the files of the run that the digest covers, in order."""
    files = RunFolder(folder)
    of_members = (files.member(member) for member in members)
    return [
        files.history,
        *([files.watches] if files.watches.exists() else []),
        *(path for member in of_members for path in (member.state, member.trace)),
    ]


def first_difference(one: Path, other: Path, members: Sequence[str]) -> str | None:
    """Describe the first event, in virtual time, that differs between two runs.

    `one` and `other` are the folders of the runs. The result is a text with the name of the file,
    the number of the line and both versions of the line. It is None if the files of both runs are
    equal. The difference is usually in a trace, because a member traces a step before a client can
    observe it.
    """
    found: list[tuple[int, str]] = []
    for path in digested(one, members):
        name = path.relative_to(one)
        ours, theirs = _lines(path), _lines(other / name)
        for number, (left, right) in enumerate(zip(ours, theirs, strict=False), start=1):
            if left != right:
                found.append((_time_ns(left), f"{name}:{number}: {left[:300]} != {right[:300]}"))
                break
        else:
            if len(ours) != len(theirs):
                shorter = min(len(ours), len(theirs))
                longest = ours if len(ours) > shorter else theirs
                line = longest[shorter]
                found.append((_time_ns(line), f"{name}:{shorter + 1}: only one has {line[:300]}"))
    return min(found)[1] if found else None


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _time_ns(line: str) -> int:
    for field in ('"time":', '"ns":'):
        _, found, rest = line.partition(field)
        if found:
            digits = rest.lstrip().split(",")[0].rstrip("}")
            return int(digits) if digits.isdigit() else 0
    return 1 << 62
