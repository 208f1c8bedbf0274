"""The line that runs a run again, and the file that `splitbrain replay` reads."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.options import Options, flag_of
from splitbrain.harness.schedule.plan import Plan, read_plan
from splitbrain.harness.store.records import FORMAT, Repro
from splitbrain.harness.store.run_folder import write_json

LISTS = ("nemesis", "nodes")
SWITCHES = ("trace", "swarm")
BYTE_FOR_BYTE = "A simulated run is repeated byte for byte by the same sources: see its digest."
NOT_OF_THE_RUN = ("seed", "store", "name")


def run_line(options: Options, seed: int) -> str:
    """`splitbrain run …` with every option that is not its default, and the seed."""
    words = ["splitbrain", "run"]
    standard = Options()
    for name in Options.__struct_fields__:
        value = getattr(options, name)
        if name not in NOT_OF_THE_RUN and value != getattr(standard, name):
            words += option_words(name, value)
    return shlex.join([*words, "--seed", str(seed)])


def option_words(name: str, value: object) -> list[str]:
    """An option of a run as it is typed."""
    flag = "--" + flag_of(name)
    if name in SWITCHES:
        return [flag if value else f"--no-{flag_of(name)}"]
    if name in LISTS and isinstance(value, list | tuple):
        return [flag, ",".join(str(one) for one in value) or "none"]
    if name == "workload_options" and isinstance(value, dict):
        return [word for key in value for word in ("-o", f"{key}={value[key]}")]
    if name == "member_flags" and isinstance(value, list | tuple):
        return [f"--member-flag={one}" for one in value]
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return [flag, text]


def write_repro(
    folder: Path, options: Options, plan: Plan, versions: Mapping[str, str], *, drawn: bool = True
) -> Repro:
    """`repro.json` in a run's folder. `drawn`: its options and seed say all of the plan."""
    command = run_line(options, plan.seed) if drawn else f"splitbrain replay {shown(folder)}"
    repro = Repro(plan.seed, options, dict(versions), command=command)
    if options.system == "simulated":
        repro = replace(repro, byte_for_byte=True, note=BYTE_FOR_BYTE)
    write_json(folder / "repro.json", repro)
    return repro


def with_versions(folder: Path, versions: Mapping[str, str]) -> None:
    """The same `repro.json`, now that it is known of what versions the run is."""
    repro = msgspec.json.decode((folder / "repro.json").read_bytes(), type=Repro)
    write_json(folder / "repro.json", replace(repro, versions=dict(versions)))


def shown(path: Path) -> str:
    """As a person would type it: relative to where they stand, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def read_repro(path: Path) -> tuple[Repro, Plan]:
    """What to run again, from a run's folder, its repro.json or any file beside it.

    Raises BadArguments if it is no such place, or of another format.
    """
    folder = path if path.is_dir() else path.parent
    file = folder / "repro.json"
    try:
        data = file.read_bytes()
    except OSError as problem:
        raise BadArguments(
            f"{path} holds no run: {file} cannot be read ({problem.strerror}). Expected the "
            "folder of a run, such as store/latest, or its repro.json"
        ) from problem
    try:
        found = msgspec.json.decode(data, type=dict[str, object]).get("format")
        if found != FORMAT:
            raise BadArguments(
                f"{file} is of format {found}; this Splitbrain reads format {FORMAT}. "
                "Use the version that wrote it"
            )
        repro = msgspec.json.decode(data, type=Repro)
    except msgspec.MsgspecError as problem:
        raise BadArguments(f"{file} is not a repro.json: {problem}") from problem
    if repro.plan is not None:
        return repro, msgspec.convert(repro.plan, Plan)
    return repro, read_plan(folder / "plan.json")
