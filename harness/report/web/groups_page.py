"""Renders the page of all groups of failures, and the page of all campaigns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from splitbrain.harness.report.html import environment
from splitbrain.harness.report.web.runs_page import when
from splitbrain.harness.schedule.command_line import shown
from splitbrain.harness.store.campaign_folder import CampaignRecord, campaign_folders
from splitbrain.harness.store.database.database import GroupCount, group_counts, open_database
from splitbrain.harness.store.database.query import Filter, find_runs
from splitbrain.harness.store.failure_groups import Group, Groups

SCHEDULE_CHARACTERS_MAX = 50_000


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """A group of failures, with the further values that the page shows.

    `known` is True if the user accepted the group. `schedule` is the text of the smallest failing
    schedule, "" if there is none. `command` repeats a failure.
    """

    group: Group
    count: GroupCount
    known: bool
    schedule: str
    command: str


def render_groups(store: Path) -> str:
    """Return the page of all groups as HTML.

    Accepted groups come last. Otherwise, the group with the newest failure comes first.
    """
    groups = Groups(store)
    with open_database(store) as connection:
        counts = group_counts(connection)
    rows = [_shown(groups, one, counts) for one in groups.all()]
    rows.sort(key=lambda one: (one.known, -one.count.last))
    return environment().get_template("groups.html.j2").render(
        title=f"{store.name}: groups of failures", here="groups", rows=rows, when=when
    )


def _shown(groups: Groups, group: Group, counts: dict[str, GroupCount]) -> ShownGroup:
    file = groups.schedule_file(group)
    text = file.read_text()[:SCHEDULE_CHARACTERS_MAX] if file.is_file() else ""
    return ShownGroup(
        group=group, count=counts.get(group.name, GroupCount(0, group.first, group.first)),
        known=group.known(), schedule=text,
        command=f"splitbrain sim --schedule {shown(file)}" if text else group.reproduce,
    )


@dataclass(frozen=True, slots=True)
class ShownCampaign:
    """A campaign, and the number of its runs with each verdict."""

    record: CampaignRecord
    counts: dict[str, int]

    @property
    def valid(self) -> bool | None:
        if self.counts["invalid"]:
            return False
        return True if self.counts["valid"] and not self.counts["unknown"] else None


def render_campaigns(store: Path) -> str:
    """Return the page of all campaigns as HTML, the newest campaign first."""
    rows = []
    with open_database(store) as connection:
        for folder in campaign_folders(store):
            record = folder.read_record()
            page = find_runs(connection, Filter(campaign=record.name), limit=0)
            rows.append(ShownCampaign(record, page.counts))
    rows.sort(key=lambda one: one.record.started, reverse=True)
    return environment().get_template("campaigns.html.j2").render(
        title=f"{store.name}: campaigns", here="campaigns", rows=rows
    )
