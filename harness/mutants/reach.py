"""Decides whether a run of real processes is known to show a planted bug."""

from __future__ import annotations

from collections.abc import Collection

from splitbrain.harness.mutants.catalogue import mutant


def why_out_of_reach(name: str, workload: str, nemesis: Collection[str]) -> str:
    """Explain why a run of real processes is not known to show the mutant `name`.

    The text contains a command that finds the mutant. Returns "" if a run with `workload` and the
    faults `nemesis` is known to show the mutant. Raises BadArguments if there is no such mutant.
    """
    run = mutant(name).run
    if not run:
        return (
            f"runs of real processes are not known to reach the mutant {name}; in simulation it is "
            f"found by: splitbrain hunt --mutant {name}"
        )
    needs = []
    if run.get("workload", workload) != workload:
        needs.append(f"the workload {run['workload']}, not {workload}")
    faults = run.get("nemesis", ())
    assert isinstance(faults, tuple)
    missing = [kind for kind in faults if kind not in nemesis]
    if missing:
        needs.append(f"faults of the kind {', '.join(missing)}")
    if not needs:
        return ""
    return (
        f"the mutant {name} is known to show with {' and '.join(needs)}; it is found by: "
        f"splitbrain run --mutant {name}"
    )
