"""Finds the client of a run by its dotted path or entry point, and checks it before the run."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from splitbrain.harness.clients.any_store.store_client import missing_functions
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.user_classes import (
    entry_points_of,
    load_entry_point,
    load_path,
    origin_of,
)

ENTRY_POINTS = "splitbrain.clients"
PARTS = ("open", "invoke", "close")


def clients() -> dict[str, str]:
    """Return the name and the description of each client that an installed package offers.

    No package is imported.
    """
    return {name: origin_of(point) for name, point in entry_points_of(ENTRY_POINTS).items()}


def client_maker(options: Options) -> Callable[[], Any]:
    """Return a function that creates a client of the class that `options` name.

    Raises BadArguments if the class does not exist, or if it does not accept the client options.
    """
    name = options.client
    kind = load_path(name, "client") if ":" in name else _named(name)
    if not callable(kind):
        raise BadArguments(f"{name} is not a client: expected a class, see splitbrain.StoreClient")
    missing = [part for part in PARTS if isinstance(kind, type) and not hasattr(kind, part)]
    if missing:
        raise BadArguments(
            f"{name} is not a client: it has no {' and no '.join(missing)} "
            "(see splitbrain.StoreClient)"
        )
    given = options.client_options
    try:
        inspect.signature(kind).bind(**given)
    except TypeError as problem:
        known = ", ".join(inspect.signature(kind).parameters) or "none"
        raise BadArguments(
            f"the client {name} cannot be made with the options {dict(given)}: {problem}; its "
            f"options: {known}"
        ) from problem
    return partial(kind, **given)


def check_functions(options: Options, workload: str, wanted: Collection[str]) -> None:
    """Raise BadArguments if the client of the run lacks a function that `workload` needs."""
    make = client_maker(options)
    missing = missing_functions(getattr(make, "func", make), wanted)
    if missing:
        raise BadArguments(
            f"the workload {workload} calls the functions {', '.join(wanted)} of a client, and "
            f"the client {options.client} has no {', no '.join(missing)}"
        )


def _named(name: str) -> Any:
    point = entry_points_of(ENTRY_POINTS).get(name)
    if point is not None:
        return load_entry_point(point, "client")
    known = list(clients())
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise BadArguments(
        f"there is no client {name!r}{hint}; expected "
        f"{', '.join([*known, 'a dotted path package.module:Class'])}"
    )
