"""The order in which anomalies are shown: no kind hides another one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

from splitbrain.checkers.verdict import Anomaly


def each_kind_first(found: Iterable[tuple[str, Anomaly]]) -> list[tuple[str, Anomaly]]:
    """The first anomaly of each checker and kind, then the second of each, and so on.

    In another order, a hundred anomalies of one kind could hide the only anomaly of another kind.
    """
    kinds: dict[tuple[str, str], list[tuple[str, Anomaly]]] = {}
    for checker, anomaly in found:
        kinds.setdefault((checker, anomaly.kind), []).append((checker, anomaly))
    rounds = zip_longest(*kinds.values())
    return [one for one_of_each in rounds for one in one_of_each if one is not None]
