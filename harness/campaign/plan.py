"""Determines each run of a campaign by its number: first saved runs, then covering arrays.

The record of a campaign and the number of a run determine the run. An interrupted campaign
therefore continues with the numbers that are not in its log. The runs after the saved ones are
divided into rounds. Each round is another covering array: a set of configurations in which every
combination of two values occurs. Each run has a new seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import msgspec

from splitbrain.harness.campaign.covering import Configuration, covering_array
from splitbrain.harness.campaign.job import Job
from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.failures.corpus import SavedRun, read_corpus
from splitbrain.harness.schedule.command_line import shown
from splitbrain.harness.schedule.options import read_options
from splitbrain.harness.store.campaign_folder import CampaignRecord


def planned(record: CampaignRecord, store: Path, *, keep_valid: bool = False) -> Iterator[Job]:
    """Yield the jobs of a campaign in the order of their numbers, without end.

    A job is one run for a worker. `store` is the folder for runs of real processes. Raises
    BadArguments if a saved run of the campaign does not exist any more.
    """
    numbers = count(1)
    saved = {one.name: one for one in read_corpus(Path(record.corpus))} if record.corpus else {}
    for name in record.saved_runs:
        if name not in saved:
            raise BadArguments(f"{record.corpus} does not contain the saved run {name} any more")
        yield _job_of_saved(record, next(numbers), saved[name], store)
    for number, (place, configuration) in zip(numbers, _configurations(record), strict=False):
        yield Job(
            campaign=record.name, number=number, seed=record.seed + place,
            given={**record.given, **configuration.options}, store=str(store),
            keep_valid=keep_valid,
        )


def round_size(record: CampaignRecord) -> int:
    """Return the number of runs of the first round, which is the first covering array."""
    return len(covering_array(record.axes, _salt(record, 0)))


def fitting(corpus: Path, record: CampaignRecord) -> tuple[str, ...]:
    """Return the names of the saved runs in `corpus` that belong to the campaign `record`.

    These are the runs whose system and workload are among those of the campaign. Runs with a
    planted bug are left out unless the campaign has this bug.
    """
    mutant = record.given.get("mutant", "")
    return tuple(
        one.name for one in read_corpus(corpus)
        if one.options.get("system") in record.axes.systems
        and one.options.get("workload") in record.axes.workloads
        and one.options.get("mutant", "") in ("", mutant)
    )


def _configurations(record: CampaignRecord) -> Iterator[tuple[int, Configuration]]:
    """Yield the configurations of all rounds, numbered from 0."""
    places = count()
    for turn in count():
        for row in covering_array(record.axes, _salt(record, turn)):
            yield next(places), row


def _salt(record: CampaignRecord, turn: int) -> str:
    return f"{record.seed}/{turn}"


def _job_of_saved(record: CampaignRecord, number: int, saved: SavedRun, store: Path) -> Job:
    schedule = saved.schedule or draw_schedule(read_options({**saved.options, "seed": saved.seed}))
    mutant = record.given.get("mutant", "")
    file = (Path(record.corpus) / saved.name).absolute()
    return Job(
        campaign=record.name, number=number, seed=saved.seed, store=str(store),
        given={**saved.options, "mutant": mutant} if mutant else dict(saved.options),
        schedule=msgspec.structs.replace(
            schedule, options=msgspec.structs.replace(schedule.options, mutant=mutant)
        ),
        reproduce=f"splitbrain replay {shown(file)}" if saved.schedule else "",
    )
