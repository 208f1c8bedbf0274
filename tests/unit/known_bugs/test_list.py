"""The list of known bugs is complete, and says which versions have which bug."""

from __future__ import annotations

import re

import pytest

from splitbrain.checkers.catalogue import CHECKERS
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.judging.crash_verdict import CRASHED
from splitbrain.harness.known_bugs.catalogue import check_ids, excused_bugs, known_bugs
from splitbrain.harness.known_bugs.known_bug import parse_version
from splitbrain.harness.schedule.options import read_options
from splitbrain.harness.workloads.catalogue import BUILT_IN, make_workload
from splitbrain.nemesis.fault_kinds import KINDS


@pytest.mark.parametrize("name", list(known_bugs()))
def test_a_row_names_only_what_exists(name: str) -> None:
    bug = known_bugs()[name]
    assert bug.title
    assert bug.source
    assert bug.trigger
    for alternative in bug.affected:
        assert re.fullmatch(r"(>=|<)\d+\.\d+\.\d+( <\d+\.\d+\.\d+)?", alternative)
    for avoidance in bug.avoid:
        assert set(avoidance.workloads) <= set(BUILT_IN)
        assert {*avoidance.faults, *avoidance.with_faults} <= set(KINDS)
        assert bool(avoidance.options) != bool(avoidance.faults)
        if avoidance.options:
            assert avoidance.workloads
        for workload in avoidance.workloads:
            make_workload(workload, avoidance.options)
    for signature in bug.signature:
        assert signature.checker in {*CHECKERS, CRASHED}
        re.compile(signature.because)


@pytest.mark.parametrize(
    ("name", "has_it", "lacks_it"),
    [
        ("etcd-13766", "3.5.0 3.5.1 3.5.2", "3.4.23 3.5.3 3.5.30"),
        ("etcd-14110", "3.5.1 3.5.4", "3.4.23 3.5.5"),
        ("etcd-15220", "3.4.23 3.5.0 3.5.1 3.5.7", "3.4.25 3.5.8 3.5.30 3.6.0"),
        ("etcd-18089", "3.4.23 3.5.1 3.5.15", "3.5.16 3.5.30"),
        ("etcd-18667", "3.4.23 3.5.1 3.5.30 3.6.9", "3.7.0"),
        ("etcd-19179", "3.5.16 3.5.17", "3.5.18 3.5.30"),
        ("etcd-20221", "3.5.21 3.6.1", "3.5.22 3.6.2 3.5.30"),
        ("etcd-20243", "3.5.22 3.5.30", "3.5.1 3.5.16"),
        ("etcd-20418", "3.5.1 3.5.27", "3.4.19 3.5.28 3.5.30"),
    ],
)
def test_a_bug_is_of_the_versions_between_its_introduction_and_its_fix(
    name: str, has_it: str, lacks_it: str
) -> None:
    def affected(version: str) -> bool:
        return known_bugs()[name] in excused_bugs(["all"], {"etcd": version})

    assert all(map(affected, has_it.split()))
    assert not any(map(affected, lacks_it.split()))


def test_all_means_every_bug_of_the_tested_version_and_a_name_only_that_one() -> None:
    everything = excused_bugs(["all"], {"etcd": "3.5.1"})
    assert len(everything) > 15
    assert excused_bugs(["etcd-18667"], {"etcd": "3.5.1"}) == (known_bugs()["etcd-18667"],)
    assert excused_bugs(["etcd-15220"], {"etcd": "3.5.30"}) == ()
    assert excused_bugs([], {"etcd": "3.5.1"}) == ()
    assert excused_bugs(["all"], {"splitbrain": "1.0.0"}) == ()
    assert excused_bugs(["all"], {"etcd": "main"}) == ()
    assert parse_version("3.6.0-rc.0+git") == (3, 6, 0)


def test_an_unknown_name_is_refused_with_a_near_one() -> None:
    check_ids(["all", "etcd-18667"])
    with pytest.raises(BadArguments, match="no known bug 'etcd-1866'; did you mean etcd-18667"):
        read_options({"known": ["etcd-1866"]})
