"""Combines the verdicts of the checkers into the verdict of a run."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers.verdict import Verdict, merge


def run_verdict(verdicts: Sequence[Verdict], error: str = "") -> bool | None:
    """Merge the verdicts of the checkers to the verdict of the run.

    Returns False (invalid) if any verdict is invalid. Otherwise returns None (unknown) if any
    verdict is unknown, if there are no verdicts, or if `error` is not empty. Otherwise returns True
    (valid). `error` describes why the run failed.
    """
    valids = [verdict.valid for verdict in verdicts]
    return merge([*valids, None] if error or not valids else valids)
