"""Orders the anomalies of a run for display, so that frequent kinds do not hide rare ones."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

from splitbrain.checkers.verdict import Anomaly


def each_kind_first(found: Iterable[tuple[str, Anomaly]]) -> list[tuple[str, Anomaly]]:
    """Return the first anomaly of each checker and kind, then the second of each, and so on.

    `found` are pairs of a checker's name and an anomaly. In another order, a hundred anomalies of
    one kind could hide the only anomaly of another kind.
    """
    kinds: dict[tuple[str, str], list[tuple[str, Anomaly]]] = {}
    for checker, anomaly in found:
        kinds.setdefault((checker, anomaly.kind), []).append((checker, anomaly))
    rounds = zip_longest(*kinds.values())
    return [one for one_of_each in rounds for one in one_of_each if one is not None]
