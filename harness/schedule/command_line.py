"""Writes the options of a run as a command line that repeats the run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from splitbrain.harness.schedule.options import DEFAULTS, LISTS, Options, flag_of, read_options

PAIRS = {
    "workload_options": "-o", "client_options": "--client-option",
    "system_options": "--system-option",
}
"""The options whose value is a mapping, each with the flag that adds one pair NAME=VALUE."""
SWITCHES = ("trace", "swarm", "allow_crash", "tls")
NOT_OF_THE_RUN = ("seed", "store", "name", "keep_data")
"""The options that a command line does not contain. The seed is added separately, and the other
options do not change what happens in a run."""


def run_line(options: Options, seed: int) -> str:
    """Return the command line `splitbrain run …` that repeats a run.

    The line contains the seed, and each option whose value is not the default. The planted bug and
    the nearest pyproject.toml can set options, too. If one of them sets an option to another value,
    the line contains that option even if its value is the default. Raises BadArguments if the
    nearest pyproject.toml has wrong options.
    """
    words = ["splitbrain", "run"]
    # The values that the command would use for options that are not given. They can differ from
    # the defaults, because a mutant and the nearest pyproject.toml set values too.
    used = read_options({"mutant": options.mutant} if options.mutant else {})
    for name in Options.__struct_fields__:
        value = getattr(options, name)
        given = value != getattr(DEFAULTS, name) or value != getattr(used, name)
        if name not in NOT_OF_THE_RUN and given:
            words += option_words(name, value)
    return shlex.join([*words, "--seed", str(seed)])


def sim_line(seed: int, given: Mapping[str, Any]) -> str:
    """Return the line `splitbrain sim …` for one seed of a campaign.

    `given` contains the options of the campaign.
    """
    words = ["splitbrain", "sim"]
    for name, value in given.items():
        if name != "system" and name not in NOT_OF_THE_RUN:
            words += option_words(name, value)
    return shlex.join([*words, "--seed", str(seed)])


def option_words(name: str, value: object) -> list[str]:
    """Return the option `name` with `value` as words of a command line."""
    flag = "--" + flag_of(name)
    if name in SWITCHES:
        return [flag if value else f"--no-{flag_of(name)}"]
    if name in LISTS and isinstance(value, list | tuple):
        return [flag, ",".join(str(one) for one in value) or "none"]
    if name in PAIRS and isinstance(value, dict):
        return [word for key in value for word in (PAIRS[name], f"{key}={value[key]}")]
    if name == "checkers" and isinstance(value, list | tuple):
        return [word for one in value for word in ("--checker", str(one))]
    if name == "member_flags" and isinstance(value, list | tuple):
        return [f"--member-flag={one}" for one in value]
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return [flag, text]


def shown(path: Path) -> str:
    """Return `path` as a user would type it: relative if it is inside the working directory."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
