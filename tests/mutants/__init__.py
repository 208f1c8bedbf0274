"""Planted bugs: a harness that passes everything is worthless, so each of these must be found.

A mutant is a module of this package with a value `MUTANT` and a function `spoil()`.
`spoil` replaces one named function of `node`, from outside; the member itself holds
no switch. To start a spoilt member:

    python -m tests.mutants commit_before_quorum -- --name n1 --data-dir …

and for a whole run `splitbrain run --mutant commit_before_quorum`, with the options
that the mutant's `run` asks for.

To write one: put `spoil` and `MUTANT` into a new file here, name what it spoils in the
file's name, name the source, say which checker must see it, and let `make campaign`
show that it does, and that the correct member passes the same runs.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field

NO_MUTANTS = ("on_processes", "table")
"""Modules of this package that plant nothing."""

SHORT_RUN: Mapping[str, object] = {
    "nodes": (3,),
    "time_limit_s": 8.0,
    "heartbeat_ms": 50,
    "election_ms": 400,
    "quiet_timeout_ms": 8_000,
}
"""What most mutants show in: elections are fast, so that a few seconds see several leaders,
and members that will never agree again are not waited for long."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is spoilt, where the bug is known from, and how it is found.

    `found_by` names the checkers that should see it, one of them surely; in a run of
    processes the first one. `run` are options of `splitbrain run` under which it shows
    soon, by their names there; empty: only simulation finds it in reasonable time.
    `flags` are further flags for the members.
    """

    what: str
    source: str
    found_by: tuple[str, ...]
    run: Mapping[str, object] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


def names() -> tuple[str, ...]:
    """All mutants, by name."""
    return tuple(
        sorted(
            module.name
            for module in pkgutil.iter_modules(__path__)
            if not module.name.startswith("_") and module.name not in NO_MUTANTS
        )
    )


def names_in_processes() -> tuple[str, ...]:
    """Those that a run of real processes finds, too."""
    return tuple(name for name in names() if mutant(name).run)


def mutant(name: str) -> Mutant:
    """What `name` is. Raises KeyError with the names there are."""
    if name not in names():
        raise KeyError(f"no mutant is called {name!r}; there are {', '.join(names())}")
    found = importlib.import_module(f"{__name__}.{name}").MUTANT
    assert isinstance(found, Mutant)
    return found


def spoil(name: str) -> None:
    """Plant `name` into this process."""
    mutant(name)
    importlib.import_module(f"{__name__}.{name}").spoil()
