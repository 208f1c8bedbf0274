"""Reads `repro.json`, which says how to repeat a run."""

from __future__ import annotations

from pathlib import Path

from splitbrain.harness.store.json_record import check_format, decode, read_bytes
from splitbrain.harness.store.records import FORMAT, Repro


def read_repro(file: Path) -> Repro:
    """Return the content of the file `repro.json`. Raises BadArguments if it cannot be read."""
    data = read_bytes(file, "repro.json")
    check_format(file, data, FORMAT)
    return decode(file, data, Repro, "a repro.json")
