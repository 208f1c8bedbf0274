"""Finds the workload for a user's client: a built-in one, an entry point, or a dotted path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from splitbrain.harness.user_classes import entry_points_of, origin_of
from splitbrain.harness.workloads.any_store.collections import Counter, Queue, Set, UniqueIds
from splitbrain.harness.workloads.any_store.registers import CasRegister, Register
from splitbrain.harness.workloads.any_store.sessions import Lock, Monotonic
from splitbrain.harness.workloads.any_store.store_workload import StoreWorkload
from splitbrain.harness.workloads.any_store.transactions import (
    Bank,
    ListAppend,
    LongFork,
    RwRegister,
)
from splitbrain.harness.workloads.catalogue import made

ENTRY_POINTS = "splitbrain.store_workloads"

BUILT_IN: Mapping[str, type[StoreWorkload]] = {
    one.name: cast("type[StoreWorkload]", one)
    for one in (
        Register, CasRegister, Set, ListAppend, RwRegister, Bank, Queue, Counter, UniqueIds, Lock,
        LongFork, Monotonic,
    )
}


def store_workloads() -> dict[str, str]:
    """Return the name and the description of each workload for clients of any store.

    The built-in ones come first, then those of installed packages.
    """
    built_in = {name: kind.description for name, kind in BUILT_IN.items()}
    others = {name: origin_of(point) for name, point in entry_points_of(ENTRY_POINTS).items()}
    return {**built_in, **{name: text for name, text in others.items() if name not in built_in}}


def make_store_workload(name: str, options: Mapping[str, Any]) -> StoreWorkload:
    """Create the workload `name` with `options`.

    Raises BadArguments if there is no such workload, or an option does not exist, is missing, or
    has the wrong type.
    """
    parts = ("operations", "final_operations", "functions", "checkers")
    workload = made(name, options, BUILT_IN, ENTRY_POINTS, parts=parts)
    return cast("StoreWorkload", workload)
