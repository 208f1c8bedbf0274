"""The planted bugs of tests/mutants, if this is a clone: an installed package has none."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import BadArguments

MODULE = "tests.mutants"
ROOT = Path(__file__).resolve().parent.parent


def mutants() -> dict[str, str]:
    """Names of the planted bugs, with what each spoils; empty without the sources' tests."""
    module = _module()
    if module is None:
        return {}
    return {name: str(module.mutant(name).what) for name in module.names()}


def mutant_command(name: str) -> tuple[str, ...]:
    """What starts a member with the planted bug `name`, in place of `python -m node`.

    Raises BadArguments if there is none.
    """
    _mutant(name)
    return (sys.executable, "-m", MODULE, name, "--")


def mutant_environment() -> dict[str, str]:
    """What a spoilt member's process needs to find the mutants from any folder."""
    return {"PYTHONPATH": str(ROOT)}


def mutant_options(name: str) -> Mapping[str, Any]:
    """Options of a run under which the planted bug `name` shows soon."""
    return dict(_mutant(name).run)


def mutant_flags(name: str) -> tuple[str, ...]:
    """Flags for the members of a run of the planted bug `name`."""
    return tuple(_mutant(name).flags)


def spoil(name: str) -> None:
    """Plant the bug `name` into the members of this process, for good. Raises BadArguments."""
    _mutant(name)
    _module().spoil(name)


def _mutant(name: str) -> Any:
    module = _module()
    if module is None:
        raise BadArguments(
            f"no mutant {name!r}: planted bugs are in tests/mutants of Splitbrain's sources, "
            "which an installed package does not hold; run from a clone"
        )
    if name not in module.names():
        near = difflib.get_close_matches(name, module.names(), n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise BadArguments(f"no mutant {name!r}{hint}; `splitbrain list mutants` names them")
    return module.mutant(name)


def _module() -> Any:
    """tests.mutants of this clone; a user's own package `tests` is another one."""
    if not (ROOT / "tests" / "mutants" / "__init__.py").is_file():
        return None
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    try:
        module = importlib.import_module(MODULE)
    except ImportError:
        return None
    return module if hasattr(module, "mutant") else None
