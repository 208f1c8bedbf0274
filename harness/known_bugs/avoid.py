"""Changes the options of a run so that it does not trigger known bugs of the tested store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.known_bugs.known_bug import Avoidance, KnownBug


def workload_options_without(
    bugs: Sequence[KnownBug], workload: str, options: Mapping[str, Any], faults: Sequence[str]
) -> dict[str, Any]:
    """Return the options of `workload`, changed so that no trigger of `bugs` is drawn.

    `faults` are the kinds of faults that the run can draw. Raises BadArguments if `options`
    contains another value for an option that must change.
    """
    changed = dict(options)
    for bug in bugs:
        for one in bug.avoid:
            needed = one.with_faults
            if not _applies(one, workload) or (needed and not set(needed).intersection(faults)):
                continue
            for name, value in one.options.items():
                if options.get(name, value) != value:
                    raise BadArguments(
                        f"the workload option {name}={options[name]} draws the trigger of "
                        f"{bug.id} ({bug.trigger}), which --known excuses; leave one of the two out"
                    )
                changed[name] = value
    return changed


def faults_without(
    bugs: Sequence[KnownBug], workload: str, members: int, faults: Sequence[str]
) -> tuple[str, ...]:
    """Return the kinds `faults` without those that trigger one of `bugs`.

    Some kinds trigger a bug only in clusters of a limited size; `members` is the size of the run's
    cluster.
    """
    gone = {
        kind
        for bug in bugs
        for one in bug.avoid
        if _applies(one, workload) and (not one.members_max or members <= one.members_max)
        for kind in one.faults
    }
    return tuple(kind for kind in faults if kind not in gone)


def _applies(one: Avoidance, workload: str) -> bool:
    return not one.workloads or workload in one.workloads
