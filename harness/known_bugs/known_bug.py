"""Defines a known bug of a store: its versions, its trigger, and the anomalies that show it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from splitbrain.checkers.verdict import Anomaly

Version = tuple[int, ...]

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_CONDITION = re.compile(r"(>=|<)(\d+\.\d+\.\d+)")


class Avoidance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run must not draw: kinds of faults, and operations that workload options control.

    The avoidance applies to runs that meet three conditions. The workload is one of `workloads`
    (empty: any). The cluster has at most `members_max` members (0: any number). A kind in
    `with_faults` is drawn (empty: whatever is drawn).
    """

    workloads: tuple[str, ...] = ()
    members_max: int = 0
    with_faults: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    options: dict[str, int] = {}


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Selects the anomalies that show a bug.

    An anomaly matches if `checker` and `kind` are its checker and kind, and its detail contains all
    of `detail`. The field `because` is a regular expression that must match a part of the anomaly's
    text.
    """

    checker: str
    kind: str
    detail: dict[str, Any] = {}
    because: str = ""

    def matches(self, checker: str, anomaly: Anomaly) -> bool:
        return (
            (checker, anomaly.kind) == (self.checker, self.kind)
            and all(anomaly.detail.get(name) == value for name, value in self.detail.items())
            and re.search(self.because, anomaly.because) is not None
        )


class KnownBug(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One bug of a store. The comments in `etcd.toml` describe the fields."""

    id: str
    title: str
    source: str
    affected: tuple[str, ...]
    trigger: str
    avoid: tuple[Avoidance, ...] = ()
    signature: tuple[Signature, ...] = ()

    def affects(self, version: Version) -> bool:
        """Return whether a release with this version has the bug."""
        return any(
            all(_holds(condition, version) for condition in _CONDITION.findall(alternative))
            for alternative in self.affected
        )


def _holds(condition: tuple[str, str], version: Version) -> bool:
    sign, bound = condition
    least = parse_version(bound)
    assert least is not None
    return version >= least if sign == ">=" else version < least


def parse_version(text: str) -> Version | None:
    """Return the version in a text such as `3.5.1` or `3.6.0-rc.0`; None if there is none.

    A pre-release is treated as the release that it precedes.
    """
    found = _VERSION.match(text)
    return tuple(map(int, found.groups())) if found else None

