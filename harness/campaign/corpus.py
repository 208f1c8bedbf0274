"""Saved seeds: runs that once found something, run first and always.

A file `*.json` of the corpus folder is one of them:

    {"seed": 42, "workload": "kv", "nemesis": ["kill"], "why": "a put answered twice"}

`seed` and `why` must be there; every other name is an option of
`splitbrain.harness.schedule.options`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.options import parse_list, refuse_unknown


@dataclass(frozen=True, slots=True)
class SavedSeed:
    name: str
    seed: int
    why: str
    options: Mapping[str, Any]

    def fits(self, options: Mapping[str, Any]) -> bool:
        """Whether it is of the system and workload that `options` name."""
        return all(
            self.options.get(name, options[name]) == options[name]
            for name in ("system", "workload") if name in options
        )


def read_corpus(folder: Path) -> list[SavedSeed]:
    """The saved seeds of `folder`, by file name; none if there is no such folder.

    Raises BadArguments for a file that is none.
    """
    return [read_saved_seed(path) for path in sorted(folder.glob("*.json"))]


def read_saved_seed(path: Path) -> SavedSeed:
    try:
        saved = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as problem:
        raise BadArguments(f"{path} is not a saved seed: {problem}") from problem
    seed, why = saved.pop("seed", None), saved.pop("why", None)
    if type(seed) is not int or not isinstance(why, str):
        raise BadArguments(
            f'{path} is not a saved seed: expected an object with "seed" (a number), "why" '
            "(a sentence) and options of a run"
        )
    refuse_unknown(saved, f"an option of a run, in {path}")
    for name in ("nemesis", "nodes"):
        if name in saved and not isinstance(saved[name], list):
            saved[name] = parse_list(name, saved[name])
    return SavedSeed(path.stem, seed, why, saved)
