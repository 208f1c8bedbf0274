"""Reads and writes the corpus: saved runs that found a bug.

Tests repeat these runs before they draw new seeds. The corpus is a folder. Each of its files is a
saved run:

- `NAME.json` contains `seed` (a number), `why` (a sentence), and options of a run, for example
  `{"seed": 42, "workload": "kv", "nemesis": ["kill"], "why": "a put was answered twice"}`.
  It can also be a copy of the `repro.json` of a run.
- `NAME.schedule` contains a schedule as text (`splitbrain.harness.schedule.text`).

`splitbrain corpus add RUN` writes these files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from splitbrain.harness.drawing.schedule_drawing import is_drawn
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.command_line import NOT_OF_THE_RUN
from splitbrain.harness.schedule.options import Options, parse_list, refuse_unknown
from splitbrain.harness.schedule.schedule import SIMULATED, Schedule
from splitbrain.harness.schedule.text import SUFFIX, read_schedule, write_schedule
from splitbrain.harness.store.atomic_file import write_json
from splitbrain.harness.store.repro import read_repro

SCHEDULE_OPERATIONS_MAX = 2_000
"""A run that was drawn from a seed is also saved as a schedule if it has at most this many
operations."""


@dataclass(frozen=True, slots=True)
class SavedRun:
    """A saved run, which is one file of the corpus."""

    name: str
    seed: int
    options: Mapping[str, Any]
    why: str = ""
    schedule: Schedule | None = None
    """The saved schedule; None if the schedule must be drawn from `seed` and `options`."""

    def fits(self, options: Mapping[str, Any]) -> bool:
        """Return whether the run has the system and the workload that `options` contain."""
        return all(
            self.options.get(name, options[name]) == options[name]
            for name in ("system", "workload") if name in options
        )


def read_corpus(folder: Path) -> list[SavedRun]:
    """Return the saved runs in `folder`, in the order of their names.

    Returns [] if there is no such folder. Raises BadArguments for a file that is not a saved run;
    the error names the file and the field.
    """
    files = [*folder.glob("*.json"), *folder.glob(f"*{SUFFIX}")]
    return [read_saved_run(path) for path in sorted(files)]


def read_saved_run(path: Path) -> SavedRun:
    """Read the saved run in the file `path`. Raises BadArguments if the file is not one."""
    if path.suffix == SUFFIX:
        schedule = read_schedule(path)
        options = _given(schedule.options)
        return SavedRun(path.name, schedule.seed, options, schedule=schedule)
    try:
        saved = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.MsgspecError) as problem:
        raise BadArguments(f"{path} is not a saved run: {problem}") from problem
    if not isinstance(saved, dict):
        raise BadArguments(f"{path} is not a saved run: expected a JSON object")
    if isinstance(saved.get("options"), dict) and "versions" in saved:
        return _of_repro(path)
    return _of_seed(path, saved)


def _of_seed(path: Path, saved: dict[str, Any]) -> SavedRun:
    for name, kind, expected in (("seed", int, "a number"), ("why", str, "a sentence")):
        if name not in saved:
            raise BadArguments(
                f"{path} has no field {name!r}: a saved run needs `seed` (a number), `why` (a "
                "sentence) and options of a run"
            )
        if type(saved[name]) is not kind:
            raise BadArguments(f"{path}: {name} = {saved[name]!r}: expected {expected}")
    seed, why = saved.pop("seed"), saved.pop("why")
    refuse_unknown(saved, f"an option of a run, in {path}")
    for name in ("nemesis", "nodes"):
        if name in saved and not isinstance(saved[name], list):
            saved[name] = parse_list(name, saved[name])
    return SavedRun(path.stem, seed, saved, why)


def _of_repro(path: Path) -> SavedRun:
    repro = read_repro(path)
    return SavedRun(
        name=path.stem, seed=repro.seed, options=_given(repro.options), why=repro.command,
        schedule=repro.schedule,
    )


def _given(options: Options) -> dict[str, Any]:
    """Return the options that determine a run, including those with the default value.

    Without the defaults, a repetition could use other values, which come from `[tool.splitbrain]`,
    from the test or from the planted bug.
    """
    return {
        name: msgspec.to_builtins(getattr(options, name)) for name in options.__struct_fields__
        if name not in NOT_OF_THE_RUN
    }


def add_to_corpus(schedule: Schedule, folder: Path, name: str, why: str) -> list[Path]:
    """Save the run of `schedule` in `folder`, and return the paths of the written files.

    - If the schedule was not drawn from a seed, it is saved in `NAME.schedule`.
    - If it was drawn, its options and its seed are saved in `NAME.json`. If it is simulated and has
      at most `SCHEDULE_OPERATIONS_MAX` operations, it is also saved in `NAME.schedule`, because a
      later version may draw another schedule from the same seed.

    Raises BadArguments if one of the files exists already.
    """
    if not re.fullmatch(r"\w[\w.,=+-]*", name):
        raise BadArguments(
            f"--name {name}: expected letters, digits and the characters _ . , = + -"
        )
    seed_file, schedule_file = folder / f"{name}.json", folder / f"{name}{SUFFIX}"
    drawn = is_drawn(schedule)
    short = schedule.size[1] <= SCHEDULE_OPERATIONS_MAX
    files = [
        *([seed_file] if drawn else []),
        *([schedule_file] if not drawn or (schedule.system == SIMULATED and short) else []),
    ]
    for path in files:
        if path.exists():
            raise BadArguments(f"{path} exists already; give another --name, or remove it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if seed_file in files:
            saved = {"why": why, "seed": schedule.seed, **_given(schedule.options)}
            write_json(seed_file, saved)
        if schedule_file in files:
            write_schedule(schedule, schedule_file, why)
    except OSError as problem:
        raise BadArguments(f"{folder}: the run cannot be saved ({problem.strerror})") from problem
    return files
