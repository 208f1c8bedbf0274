"""A campaign loses no run and counts none twice, however it is interrupted."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from splitbrain.harness.campaign.job import Job, Outcome, schedule_of
from splitbrain.harness.campaign.plan import planned
from splitbrain.harness.campaign.process_workers import Finished, NextJob
from splitbrain.harness.campaign.recorded_campaign import Budget, PlannedJobs, RecordedCampaign
from splitbrain.harness.cli.main import run_main
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.failures.grouping import Shrunk, shrink_group, unshrunk
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.store.campaign_folder import (
    Axes,
    CampaignFolder,
    CampaignLog,
    CampaignRecord,
    Ended,
    campaign_folder,
)
from splitbrain.harness.store.database.database import group_counts, open_database, rebuild
from splitbrain.harness.store.database.query import Filter, Page, find_runs
from splitbrain.harness.store.failure_groups import Acceptance, Groups
from splitbrain.harness.store.failure_signature import Signature
from splitbrain.harness.store.run_row import RunRow

AXES = Axes(("simulated",), ("kv", "register"), ("kill", "pause"), (1, 3))
RECORD = CampaignRecord(name="c", seed=100, axes=AXES, given={"time_limit_s": 0.2})
LOST = Signature("mvcc", "lost write", "N lost #")
STALE = Signature("mvcc", "stale read", "N answered #")


def outcome(job: Job) -> Outcome:
    """Every fifth run is invalid, alternately by two signatures."""
    number = job.number
    signature = None if number % 5 else LOST if number % 2 else STALE
    row = RunRow(
        key=job.key, campaign=job.campaign, number=number, started=1_800_000_000 + number,
        system="simulated", seed=job.seed, valid=signature is None,
        checker="mvcc" if signature else "", kind=signature.kind if signature else "",
        because=f"n1 lost r{number}" if signature else "", reproduce=f"again {number}",
    )
    failed = schedule_of(job) if signature else None
    return Outcome(Ended(number=number, row=row, signature=signature), failed)


def execute(next_job: NextJob) -> Generator[Finished, None, None]:
    while (job := next_job()) is not None:
        yield job, outcome(job)


def three_at_once(next_job: NextJob) -> Generator[Finished, None, None]:
    """Jobs end in another order than they began."""
    while jobs := [job for job in (next_job() for _ in range(3)) if job is not None]:
        for job in reversed(jobs):
            yield job, outcome(job)


def a_campaign(store: Path) -> RecordedCampaign:
    folder = campaign_folder(store, RECORD.name)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_record(RECORD)
    source = PlannedJobs(planned(RECORD, store), set(folder.ended()))
    return RecordedCampaign(store, folder, source)


def all_runs(store: Path) -> Page:
    with open_database(store) as connection:
        return find_runs(connection, Filter(campaign=RECORD.name), limit=1000)


def logged(store: Path) -> list[int]:
    lines = campaign_folder(store, RECORD.name).lines()
    return [one.number for one in lines if isinstance(one, Ended)]


def test_the_budget_of_runs_is_kept_over_interruptions_and_no_run_is_done_twice(
    tmp_path: Path,
) -> None:
    runs = a_campaign(tmp_path).run(Budget(runs=40), three_at_once)
    for _ in range(7):
        next(runs)
    runs.close()  # type: ignore[attr-defined]
    again = a_campaign(tmp_path)
    assert len(again.done) == 7
    list(again.run(Budget(runs=40), three_at_once))
    assert sorted(logged(tmp_path)) == list(range(1, 41))
    seeds = [row.seed for row in all_runs(tmp_path).runs]
    assert sorted(seed for seed in seeds if seed is not None) == list(range(100, 140))
    list(a_campaign(tmp_path).run(Budget(runs=40), execute))
    assert len(logged(tmp_path)) == 40


def test_an_incomplete_last_line_is_cut_off_and_its_run_done_again(tmp_path: Path) -> None:
    list(a_campaign(tmp_path).run(Budget(runs=4), execute))
    log = campaign_folder(tmp_path, RECORD.name).log
    log.write_bytes(log.read_bytes()[:-20])
    campaign = a_campaign(tmp_path)
    assert sorted(campaign.done) == [1, 2, 3]
    list(campaign.run(Budget(runs=4), execute))
    assert logged(tmp_path) == [1, 2, 3, 4]


def test_a_damaged_line_in_the_middle_is_an_error_that_names_it(tmp_path: Path) -> None:
    list(a_campaign(tmp_path).run(Budget(runs=3), execute))
    log = campaign_folder(tmp_path, RECORD.name).log
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:2], b"{damaged\n", *lines[2:]]))
    with pytest.raises(BadArguments, match="line 3"):
        a_campaign(tmp_path)


def test_two_processes_cannot_run_one_campaign(tmp_path: Path) -> None:
    folder = CampaignFolder(tmp_path)
    with CampaignLog(folder), pytest.raises(BadArguments, match="another process"):
        CampaignLog(folder).__enter__()


def test_a_budget_of_finds_counts_groups_that_are_not_accepted(tmp_path: Path) -> None:
    campaign = a_campaign(tmp_path)
    list(campaign.run(Budget(runs=200, finds=2), execute))
    assert len(campaign.done) == 10  # runs 5 and 10 are invalid, by two signatures
    first = campaign.new_finds[0]
    today = datetime.now(UTC).date()
    known = Acceptance("known", (today + timedelta(days=1)).isoformat(), "")
    campaign.groups.save(msgspec.structs.replace(first, accepted=known))
    again = a_campaign(tmp_path)
    assert [one.name for one in again.new_finds] != [first.name]
    list(again.run(Budget(runs=20, finds=2), execute))
    assert len(again.done) == 20


def test_an_acceptance_expires() -> None:
    known = Acceptance("known", "2026-11-30", "")
    assert known.holds(date(2026, 11, 30))
    assert not known.holds(date(2026, 12, 1))


def test_the_database_is_rebuilt_from_the_log_with_its_groups(tmp_path: Path) -> None:
    list(a_campaign(tmp_path).run(Budget(runs=30), execute))
    before = all_runs(tmp_path)
    assert before.counts == {"valid": 24, "invalid": 6, "unknown": 0}
    rebuild(tmp_path)
    assert all_runs(tmp_path) == before
    with open_database(tmp_path) as connection:
        counts = group_counts(connection)
    assert sorted(one.runs for one in counts.values()) == [3, 3]


def test_failing_schedules_are_kept_and_only_some_of_each_signature(tmp_path: Path) -> None:
    list(a_campaign(tmp_path).run(Budget(runs=60), execute))
    files = {one.schedule for one in campaign_folder(tmp_path, RECORD.name).ended().values()}
    assert files == {"", *(f"failed/{number}.schedule" for number in (5, 10, 15, 20, 25, 30))}
    assert all((tmp_path / "campaigns" / "c" / file).is_file() for file in files if file)


def test_a_shrunk_group_joins_the_group_of_the_signature_of_its_smallest_run(
    tmp_path: Path,
) -> None:
    campaign = a_campaign(tmp_path)
    list(campaign.run(Budget(runs=20), execute))
    groups = campaign.groups
    lost, stale = groups.of(LOST), groups.of(STALE)
    assert lost is not None
    assert stale is not None

    def shrink(schedule: Schedule, checker: str, budget_s: float) -> Shrunk:
        assert checker == "mvcc"
        return Shrunk(schedule, LOST, minimal=True)

    assert [one.name for one in unshrunk(groups, tmp_path)] == [lost.name, stale.name]
    kept, joined = shrink_group(groups, lost, tmp_path, 1.0, shrink)
    assert (kept.name, joined) == (lost.name, "")
    kept, joined = shrink_group(groups, stale, tmp_path, 1.0, shrink)
    assert (kept.name, joined) == (lost.name, stale.name)
    assert set(kept.signatures) == {LOST, STALE}
    assert groups.schedule_file(kept).is_file()
    assert [one.name for one in Groups(tmp_path).all()] == [lost.name]
    assert not list(unshrunk(groups, tmp_path))


def test_the_command_lists_accepts_renames_and_saves_groups(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = a_campaign(tmp_path)
    list(campaign.run(Budget(runs=20), execute))
    name = campaign.groups.all()[0].name

    def lines(*words: str, code: int = 0) -> Iterator[str]:
        assert run_main(["groups", *words, "--store", str(tmp_path)]) == code
        return iter(capsys.readouterr().out.splitlines())

    assert next(lines()) == "2 groups"
    assert "2 runs from 2027-01-15 to 2027-01-15" in " ".join(lines())
    assert not list(lines("accept", name, "--reason", "x", "--until", "2001-01-01", code=254))
    assert not list(lines("accept", name, "--reason", "x", "--until", "soon", code=254))
    list(lines("accept", name, "--reason", "issue 12", "--until", "2999-01-31"))
    assert next(lines()) == "1 group, and 1 accepted"
    list(lines("rename", name, "my-bug"))
    text = "\n".join(lines("--all"))
    assert "my-bug: 2 runs" in text
    assert "accepted until 2999-01-31: issue 12" in text
    list(lines("reopen", "my-bug"))
    assert next(lines()) == "2 groups"
    assert not list(lines("corpus", "my-bug", code=254))
    shrink_group(
        Groups(tmp_path), Groups(tmp_path).named("my-bug"), tmp_path, 1.0,
        lambda schedule, _checker, _budget: Shrunk(schedule, LOST, True),
    )
    corpus = tmp_path / "corpus"
    list(lines("corpus", "my-bug", "--folder", str(corpus)))
    assert (corpus / "my-bug.schedule").is_file() or (corpus / "my-bug.json").is_file()
