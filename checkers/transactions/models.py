"""Defines consistency models, and the anomalies that each of them forbids.

A model forbids the anomalies in its definition, and those of each weaker model that it implies. A
history satisfies a model if it shows no anomaly that the model forbids. All dependencies are about
items, not predicates, so a cycle with anti-dependencies also contradicts repeatable read.

Sources: Adya 1999, Adya, Liskov and O'Neil 2000 (read-uncommitted PL-1, read-committed PL-2,
consistent-view PL-2+, repeatable-read PL-2.99, serializable PL-3, snapshot-isolation PL-SI);
Cerone, Bernardi and Gotsman 2015 (read-atomic and above); Cerone and Gotsman 2016 (a cycle without
two adjacent anti-dependencies contradicts snapshot isolation, a cycle with a single anti-dependency
contradicts parallel snapshot isolation); Daudjee and Salem 2004 and 2006 (strong session);
Kingsbury and Alvaro 2020 (the meaning of each observation).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

IMPLIES: Mapping[str, Sequence[str]] = {
    "strict-serializable": ("strong-session-serializable", "strong-snapshot-isolation"),
    "strong-session-serializable": ("serializable", "strong-session-snapshot-isolation"),
    "serializable": ("repeatable-read", "snapshot-isolation"),
    "strong-snapshot-isolation": (
        "strong-session-snapshot-isolation", "strong-read-committed",
    ),
    "strong-session-snapshot-isolation": (
        "snapshot-isolation", "strong-session-read-committed",
    ),
    "snapshot-isolation": ("parallel-snapshot-isolation",),
    "parallel-snapshot-isolation": ("causal", "consistent-view", "update-atomic"),
    "causal": ("read-atomic",),
    "update-atomic": ("read-atomic",),
    "read-atomic": ("monotonic-atomic-view",),
    "repeatable-read": ("cursor-stability", "monotonic-atomic-view"),
    "consistent-view": ("cursor-stability",),
    "cursor-stability": ("read-committed",),
    "monotonic-atomic-view": ("read-committed",),
    "strong-read-committed": ("strong-session-read-committed", "strong-read-uncommitted"),
    "strong-session-read-committed": ("read-committed", "strong-session-read-uncommitted"),
    "strong-read-uncommitted": ("strong-session-read-uncommitted",),
    "strong-session-read-uncommitted": ("read-uncommitted",),
    "read-committed": ("read-uncommitted",),
    "read-uncommitted": (),
}
"""The models, the strongest first. Each has the next weaker models that it implies."""

SYNONYMS: Mapping[str, str] = {
    "strong-serializable": "strict-serializable",
    "conflict-serializable": "serializable",
    "strong-session-strict-serializable": "strict-serializable",
    "PL-1": "read-uncommitted",
    "PL-2": "read-committed",
    "PL-2+": "consistent-view",
    "PL-2.99": "repeatable-read",
    "PL-3": "serializable",
    "PL-SI": "snapshot-isolation",
    "PL-SS": "strict-serializable",
}

DEFAULT = "strict-serializable"

CONTRADICTS: Mapping[str, Sequence[str]] = {
    # Anomalies that single transactions or the versions of a key show.
    "garbage-read": ("read-uncommitted",),
    "duplicate-elements": ("read-uncommitted",),
    "G1a": ("read-committed",),
    "G1b": ("read-committed",),
    "dirty-update": ("read-committed",),
    "incompatible-order": ("read-committed",),
    "future-read": ("read-committed", "read-atomic"),
    "internal": ("read-atomic",),
    "lost-update": ("update-atomic", "cursor-stability"),
    "cyclic-versions": ("read-committed",),
    "cyclic-versions-process": ("strong-session-serializable",),
    "cyclic-versions-realtime": ("strict-serializable",),
    # Cycles.
    "G0": ("read-uncommitted",),
    "G1c": ("read-committed",),
    "G-single": ("consistent-view", "repeatable-read"),
    "G-nonadjacent": ("snapshot-isolation", "repeatable-read"),
    "G2-item": ("repeatable-read",),
    "G0-process": ("strong-session-read-uncommitted",),
    "G1c-process": ("strong-session-read-committed",),
    "G-single-process": ("strong-session-snapshot-isolation",),
    "G-nonadjacent-process": ("strong-session-snapshot-isolation",),
    "G2-item-process": ("strong-session-serializable",),
    "G0-realtime": ("strong-read-uncommitted",),
    "G1c-realtime": ("strong-read-committed",),
    "G-single-realtime": ("strong-snapshot-isolation",),
    "G-nonadjacent-realtime": ("strong-snapshot-isolation",),
    "G2-item-realtime": ("strict-serializable",),
}
"""The weakest models that each anomaly contradicts. The anomaly also contradicts all models that
imply one of them.

The names ending in `-process` and `-realtime` rely on the order of sessions or on real time. Such
an anomaly contradicts only models that respect this order.
"""

MODELS: tuple[str, ...] = tuple(IMPLIES)


def model_named(name: str) -> str:
    """Return the name of a consistency model, given this name or a synonym such as `PL-3`.

    Raises ValueError with the known names.
    """
    found = SYNONYMS.get(name, name)
    if found not in IMPLIES:
        near = difflib.get_close_matches(name, [*IMPLIES, *SYNONYMS], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"no consistency model {name!r}{hint}; there are {', '.join(MODELS)}")
    return found


def implied(model: str) -> tuple[str, ...]:
    """Return the consistency model `model` and all models that it implies, the strongest first."""
    found = {model: None}
    queue = [model]
    for one in queue:
        queue.extend(weaker for weaker in IMPLIES[one] if weaker not in found)
        found.update(dict.fromkeys(IMPLIES[one]))
    return tuple(one for one in MODELS if one in found)


def contradicted(anomalies: Iterable[str]) -> tuple[str, ...]:
    """Return all consistency models that forbid one of `anomalies`, the strongest model first."""
    direct = {model for anomaly in anomalies for model in CONTRADICTS[anomaly]}
    return tuple(one for one in MODELS if not direct.isdisjoint(implied(one)))


def weakest(models: Iterable[str]) -> tuple[str, ...]:
    """Return the models in `models` that imply no other model in `models`."""
    among = dict.fromkeys(models)
    return tuple(
        one for one in MODELS
        if one in among and not any(other in among for other in implied(one) if other != one)
    )


def forbids(model: str, anomaly: str) -> bool:
    """Return whether the consistency model `model` forbids the anomaly `anomaly`."""
    return model in contradicted((anomaly,))


def order_of(model: str) -> str:
    """Return the order between transactions that `model` respects: "realtime", "process" or ""."""
    weaker = implied(model)
    if "strong-read-uncommitted" in weaker:
        return "realtime"
    return "process" if "strong-session-read-uncommitted" in weaker else ""
