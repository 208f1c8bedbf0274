"""Computes the signature of a failure: the sentence of one anomaly, without the values of the run.

One bug usually breaks many guarantees: an entry that is applied twice makes revisions, reads and
watches wrong. The anomaly in the lowest layer is nearest to the cause. For example, Raft is a lower
layer than MVCC. Therefore the signature is taken from the first checker of `LAYERS` that finds the
run invalid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from splitbrain.checkers.verdict import Anomaly, Verdict

LAYERS = ("raft_safety", "write_path", "invariants", "mvcc", "watch")
"""Checkers, from the lowest layer upwards. All other checkers come after them, in the order of the
run."""
CONDITION_CHARACTERS_MAX = 200


class Signature(msgspec.Struct, frozen=True, order=True):
    """The description of a failure. It is equal for failures that probably have the same cause.

    `checker` found the anomaly, and `kind` is the kind of the anomaly. Failures with equal
    signatures are one group.
    """

    checker: str
    kind: str
    condition: str
    """The sentence of the anomaly, with placeholders for names, numbers and values."""

    @property
    def text(self) -> str:
        return " | ".join((self.checker, self.kind, self.condition))


def signature_of(verdicts: Iterable[Verdict]) -> Signature | None:
    """Return the signature of an invalid run; None if no verdict has an anomaly."""
    invalid = [one for one in verdicts if one.valid is False and one.anomalies]
    if not invalid:
        return None
    lowest = min(invalid, key=lambda one: (
        LAYERS.index(one.checker) if one.checker in LAYERS else len(LAYERS)
    ))
    anomaly = lowest.anomalies[0]
    return Signature(lowest.checker, anomaly.kind, condition(anomaly))


def condition(anomaly: Anomaly) -> str:
    """Return the sentence of `anomaly`, with a placeholder for each name, number and value.

    The arguments of an operation are left out, because they are random. Its function (put, txn, …)
    remains.
    """
    text = " ".join(anomaly.because.split())
    for pattern, sign in _SIGNS:
        text = pattern.sub(sign, text)
    return text[:CONDITION_CHARACTERS_MAX]


_SIGNS = tuple((re.compile(pattern), sign) for pattern, sign in (
    (r"(?<=\w)'s\b", ""),                                       # process 5's
    (r"'[^']*'(?:…(?: \([\d,]+ characters\))?)?", "V"),         # values
    (r"\btxn \(.*\)(?= on | at | \()", "txn"),                 # the content of a transaction
    (r"\(stream .*?\)(?= [a-z]+ed\b| was\b| in\b)", ""),       # what a watcher asked for
    (r"\[[^\[\]]*[\])]", "R"),                                  # ranges of keys
    (r"\bn\d+\b", "N"),                                         # members
    (r"\b[\w/~-]*\d[\w./~-]*", "#"),                            # keys, numbers, times
    (r" at # s(?: of the trace)?", ""),
    (r"(succeeded \w+, expected \w+), because .*", r"\1"),        # what a comparison found
    (r"\((?:create|mod|version) #.*?\)", ""),
    (r"\b(?:put|delete) #(?:=V)?(?= )", "change"),
    (r"^# s: |,? of [R#]$|\s+(?=\s)", ""),
))
