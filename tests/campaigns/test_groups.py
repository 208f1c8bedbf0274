"""Groups of failures separate the planted bugs, although no run says which bug it has.

Every run of the measurement has one planted bug, which the groups do not see: the signature is that
of the anomalies alone. The whole test takes all planted bugs; set `SPLITBRAIN_GROUPS_EVERY=7` to
measure every seventh.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from splitbrain.harness.campaign.job import Job, Outcome, run_job
from splitbrain.harness.campaign.process_workers import CAMPAIGN_JOB
from splitbrain.harness.failures.grouping import grouped, shrink_group, unshrunk
from splitbrain.harness.mutants.catalogue import mutant, names_in_simulation
from splitbrain.harness.schedule.text import SUFFIX, write_schedule
from splitbrain.harness.seeds.worker_processes import PRELOADED
from splitbrain.harness.store.failure_groups import Group, Groups

EVERY = int(os.environ.get("SPLITBRAIN_GROUPS_EVERY", "1"))
FAILURES = 3
"""Failing runs of each bug."""
CPU_S_MAX = 20.0
"""The time of the search for failing runs of a bug."""
SHRINK_S = 5.0
WORKERS = 2
PURE_SHARE_MIN = 0.9
GROUPS_A_BUG_MAX = 1.5


def failures(name: str) -> list[Outcome]:
    """The outcomes of up to `FAILURES` invalid runs of the bug `name`, in a separate process."""
    found: list[Outcome] = []
    number = 0
    # A bug can make a simulated run endless.
    signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, 2 * CPU_S_MAX)
    began = time.process_time()
    while len(found) < FAILURES and time.process_time() - began < CPU_S_MAX:
        number += 1
        job = Job(
            campaign=name, number=number, seed=5_000_000 + number,
            given={"system": "simulated", "mutant": name, **mutant(name).hunt},
        )
        try:
            outcome = run_job(job)
        except TimeoutError:
            break
        if outcome.ended.signature is not None:
            found.append(outcome)
    signal.setitimer(signal.ITIMER_PROF, 0.0)
    return found


def _stop(*_: object) -> None:
    raise TimeoutError


def shrunk(store: Path, name: str, budget_s: float) -> None:
    """Shrink the group `name` of `store`. Called in a separate process."""
    groups = Groups(store)
    shrink_group(groups, groups.named(name), store, budget_s)


def in_fresh_processes() -> multiprocessing.pool.Pool:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([CAMPAIGN_JOB, *PRELOADED])
    return context.Pool(WORKERS, maxtasksperchild=1)


def put_into_groups(store: Path, outcomes: list[Outcome]) -> Iterator[tuple[str, Group]]:
    """Each bug with the group of one of its failures, before any group is shrunk."""
    groups = Groups(store)
    for outcome in outcomes:
        mutant, number = outcome.ended.row.campaign, outcome.ended.number
        assert outcome.failed is not None
        file = store / f"{mutant}-{number}{SUFFIX}"
        write_schedule(outcome.failed, file)
        ended, _ = grouped(groups, outcome.ended, file.name)
        yield mutant, groups.named(ended.row.group)


@pytest.mark.campaign
def test_most_groups_contain_one_bug_and_few_bugs_have_several_groups(tmp_path: Path) -> None:
    mutants = sorted(names_in_simulation())[3 % EVERY :: EVERY]
    with in_fresh_processes() as pool:
        outcomes = []
        for name, found in zip(mutants, pool.imap(failures, mutants, 1), strict=True):
            print(f"{name}: {len(found)} failing runs", flush=True)
            outcomes += found
        first = list(put_into_groups(tmp_path, outcomes))
        for name in [group.name for group in unshrunk(Groups(tmp_path), tmp_path)]:
            # An earlier group may have been joined with this one, and have another name now.
            if any(group.name == name for group in unshrunk(Groups(tmp_path), tmp_path)):
                pool.apply(shrunk, (tmp_path, name, SHRINK_S))
    groups = Groups(tmp_path)
    bugs: defaultdict[str, set[str]] = defaultdict(set)
    for bug, group in first:
        joined = groups.of(group.signatures[0])
        assert joined is not None
        bugs[joined.name].add(bug)
    found_bugs = {bug for bug, _ in first}
    pure = sum(len(one) == 1 for one in bugs.values()) / len(bugs)
    groups_a_bug = sum(map(len, bugs.values())) / len(found_bugs)
    mixed = {name: sorted(one) for name, one in bugs.items() if len(one) > 1}
    print(msgspec.json.encode({
        "bugs": len(found_bugs), "failures": len(first), "groups": len(bugs),
        "pure": round(pure, 3), "groups a bug": round(groups_a_bug, 3), "mixed": mixed,
    }).decode())
    assert pure >= PURE_SHARE_MIN, mixed
    assert groups_a_bug <= GROUPS_A_BUG_MAX
