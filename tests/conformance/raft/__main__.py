"""Runs etcd-io/raft's datadriven interaction tests against this project's Raft.

Usage: python -m tests.conformance.raft FILE…

Prints a diff for each command whose output differs, and then exits with status 1. Exits with
status 2 if a file cannot be read.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.raft.comparison import differences
from tests.conformance.raft.datadriven import Malformed


def main(names: Sequence[str]) -> int:
    if not names:
        print("usage: python -m tests.conformance.raft FILE…", file=sys.stderr)
        return 2
    status = 0
    for name in names:
        try:
            diff = differences(Path(name))
        except (OSError, Malformed) as problem:
            print(f"{name}: {problem}", file=sys.stderr)
            return 2
        print(diff or f"{name}: equal")
        status = max(status, 1 if diff else 0)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
