"""The planted bugs (mutants) by name.

A mutant is a module in a subpackage of this package. The name of the module is the name of the
mutant. The subpackage is named after the part of the member that the mutant breaks. The module
contains a value `MUTANT` and a function `plant`, which replaces functions of `splitbrain.node` from
outside. Therefore the member itself contains no switch for planted bugs.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
import sys
from collections.abc import Mapping
from typing import Any

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.mutants.mutant import Mutant

PACKAGE = "splitbrain.harness.mutants"


@functools.cache
def _modules() -> Mapping[str, str]:
    """Return the name and the module path of each mutant, in the order of the names."""
    package = importlib.import_module(PACKAGE)
    found = {
        module.name.rpartition(".")[2]: module.name
        for room in pkgutil.iter_modules(package.__path__, f"{PACKAGE}.") if room.ispkg
        for module in pkgutil.iter_modules(
            importlib.import_module(room.name).__path__, f"{room.name}."
        )
    }
    return dict(sorted(found.items()))


def names() -> tuple[str, ...]:
    """Return the names of all mutants, sorted."""
    return tuple(_modules())


def names_in_processes() -> tuple[str, ...]:
    """Return the names of the mutants that a run of real processes finds in reasonable time."""
    return tuple(name for name in names() if mutant(name).run)


def names_in_simulation() -> tuple[str, ...]:
    """Return the names of the mutants that simulation can find."""
    return tuple(name for name in names() if mutant(name).simulated)


def mutants() -> dict[str, str]:
    """Return the name of each mutant, and the description of its wrong behaviour."""
    return {name: mutant(name).what for name in names()}


def mutant(name: str) -> Mutant:
    """Return the declaration of the mutant `name`. Raises BadArguments if it does not exist."""
    found = _module(name).MUTANT
    assert isinstance(found, Mutant)
    return found


def room_of(name: str) -> str:
    """Return the part of the member in which the bug `name` is planted, such as "raft"."""
    return str(_module(name).__name__).split(".")[-2]


def mutant_command(name: str) -> tuple[str, ...]:
    """Return the command that starts a member with the bug `name`.

    It replaces `python -m splitbrain.node`. Raises BadArguments if there is no such mutant.
    """
    mutant(name)
    return (sys.executable, "-P", "-m", PACKAGE, name, "--")


def mutant_options(name: str) -> Mapping[str, Any]:
    """Return options of a run with which the bug `name` shows soon."""
    return dict(mutant(name).run)


def mutant_flags(name: str) -> tuple[str, ...]:
    """Return command-line flags for the members of a run with the bug `name`."""
    return mutant(name).flags


def plant(name: str) -> None:
    """Plant the bug `name` into this process until it ends.

    Raises BadArguments if there is no such mutant.
    """
    _module(name).plant()


def _module(name: str) -> Any:
    if name not in _modules():
        near = difflib.get_close_matches(name, names(), n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise BadArguments(f"no mutant {name!r}{hint}; `splitbrain list mutants` names them")
    return importlib.import_module(_modules()[name])
