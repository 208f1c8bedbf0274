"""Automatic compaction keeps the revisions that its flags describe."""

from __future__ import annotations

import pytest

from splitbrain.node.config import ConfigError, parse_retention
from splitbrain.node.maintenance.auto_compaction import ByAge, ByRevision


def test_by_age_compacts_to_the_revision_of_one_retention_ago_once_per_interval() -> None:
    policy = ByAge(100.0)
    assert policy.interval_s == 10.0
    targets = []
    for sample in range(31):
        target = policy.target(1000 + sample)
        targets.append(target)
        if target:
            policy.compacted()
    due = {number: 1000 + number - 10 for number in (10, 20, 30)}
    assert targets == [due.get(number, 0) for number in range(31)]


def test_by_age_retries_a_failed_compaction_at_the_next_sample() -> None:
    policy = ByAge(100.0)
    targets = [policy.target(1000 + sample) for sample in range(13)]
    assert targets[10:] == [1000, 1001, 1002]


def test_by_age_compacts_a_long_retention_every_hour() -> None:
    policy = ByAge(4 * 3600.0)
    assert policy.interval_s == 360.0
    found = []
    for sample in range(61):
        if target := policy.target(sample + 1):
            found.append((sample, target))
            policy.compacted()
    assert found == [(40, 1), (50, 11), (60, 21)]


def test_by_revision_keeps_the_retention_and_never_compacts_twice() -> None:
    policy = ByRevision(10, 300.0)
    assert policy.target(8) <= 0
    assert policy.target(25) == 15
    policy.compacted()
    assert policy.target(25) == 0
    assert policy.target(26) == 16


@pytest.mark.parametrize(
    ("mode", "text", "expected"),
    [
        ("periodic", "0", (0, 0)),
        ("periodic", "2", (7_200_000, 0)),
        ("periodic", "30m", (1_800_000, 0)),
        ("revision", "1000", (0, 1000)),
    ],
)
def test_retention_is_read_as_etcd_reads_it(
    mode: str, text: str, expected: tuple[int, int]
) -> None:
    assert parse_retention(mode, text) == expected


@pytest.mark.parametrize(("mode", "text"), [("revision", "1h"), ("x", "1"), ("periodic", "-1")])
def test_a_wrong_retention_is_refused(mode: str, text: str) -> None:
    with pytest.raises(ConfigError):
        parse_retention(mode, text)
