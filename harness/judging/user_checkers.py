"""Loads the checkers of a user, which are functions.

A checker is named by its dotted path, or by an entry point of the group `splitbrain.checkers`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable
from typing import Any

from splitbrain.checkers.evidence import Checker, Evidence
from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.user_classes import entry_points_of, load_entry_point, load_path

ENTRY_POINTS = "splitbrain.checkers"


def load_checker(name: str, known: Collection[str], *, of_log: bool) -> Checker:
    """Load the checker with the dotted path or entry point `name`.

    The user's function returns a `Verdict`, or the anomalies that it finds. If `of_log` is True,
    the function's argument is `Evidence.log`. Otherwise it is the whole `Evidence`. `known` are the
    names of the built-in checkers, for the error message. Raises BadArguments if no such function
    exists.
    """
    if ":" in name:
        function = load_path(name, "checker")
    elif (point := entry_points_of(ENTRY_POINTS).get(name)) is not None:
        function = load_entry_point(point, "checker")
    else:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise BadArguments(
            f"no checker {name!r}{hint}; there are {', '.join(known)}, or a dotted path "
            "package.module:function"
        )
    if not callable(function):
        raise BadArguments(f"{name} is not a checker: expected a function")
    return user_checker(name.rpartition(":")[2], function, of_log=of_log)


def user_checker(name: str, function: Callable[[Any], Any], *, of_log: bool) -> Checker:
    """Make a checker that calls the user's `function`; see `load_checker`.

    The function returns a `Verdict`, or its anomalies. Without anomalies, the verdict is valid.
    """

    def check(evidence: Evidence) -> Verdict:
        found = function(evidence.log if of_log else evidence)
        if isinstance(found, Verdict):
            return found
        anomalies = tuple(_checked(one) for one in _iterable(found))
        history = evidence.history
        count = len(evidence.log) or len(history.operations) + len(history.services)
        return Verdict(name, not anomalies, anomalies, {"operations": count})

    return check


def _iterable(found: object) -> Iterable[object]:
    if isinstance(found, Iterable):
        return found
    raise TypeError(f"it returned {found!r:.100}; expected a Verdict, or anomalies")


def _checked(one: object) -> Anomaly:
    if isinstance(one, Anomaly):
        return one
    raise TypeError(f"it yielded {one!r:.100}; expected a splitbrain.Anomaly")
