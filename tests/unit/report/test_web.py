"""The pages over all runs filter, sort and compare runs, and show campaigns and groups."""

from __future__ import annotations

import asyncio
import html
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from splitbrain.checkers.verdict import Anomaly
from splitbrain.harness.report.web import server
from splitbrain.harness.report.web.server import application
from splitbrain.harness.store.campaign_folder import Axes, CampaignRecord, campaign_folder
from splitbrain.harness.store.database.database import add_runs, open_database
from splitbrain.harness.store.failure_groups import Acceptance, Group, Groups
from splitbrain.harness.store.failure_signature import Signature
from splitbrain.harness.store.run_row import RunRow
from splitbrain.histories.trace import TraceEvent
from tests.unit.report.synthetic_run import SyntheticRun, write_run

HOSTILE = "<script>alert(1)</script>"


def get(store: Path, *paths: str) -> list[tuple[int, str]]:
    async def ask() -> list[tuple[int, str]]:
        async with TestClient(TestServer(application(store))) as client:
            answers = []
            for path in paths:
                async with client.get(URL(path, encoded=True)) as answer:
                    answers.append((answer.status, await answer.text()))
            return answers

    return asyncio.run(ask())


def rows(page: str) -> list[str]:
    """The seeds in the table of runs."""
    return re.findall(r'data-name="seed" class="num">(\d*)<', page)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    store = tmp_path / "store"
    write_run(store / "etcd-kv" / "20260102T030405Z-7", SyntheticRun(30))
    bad = Anomaly("stale read", f"n2 answered {HOSTILE}", (3,))
    write_run(
        store / "etcd-kv" / "20260102T030505Z-8",
        SyntheticRun(30, valid=False, anomalies=(bad,), seed=8),
    )
    folder = campaign_folder(store, "nightly")
    folder.path.mkdir(parents=True)
    axes = Axes(("simulated",), ("kv",), ("kill",), (3,))
    folder.write_record(CampaignRecord(name="nightly", seed=1, axes=axes, started="2026-01-02"))
    groups = Groups(store)
    group = Group(
        name="lost", signatures=(Signature("mvcc", "lost write", HOSTILE),), because=HOSTILE,
        first=1_767_000_000, reproduce="splitbrain sim --seed 100",
    )
    groups.save(group)
    with open_database(store) as connection:
        add_runs(connection, [
            RunRow(
                key=f"nightly#{one}", campaign="nightly", number=one, group="lost" * (one == 1),
                started=1_767_000_000 + one, test="simulated-kv", system="simulated",
                workload="kv", nemesis=("kill",), seed=100 + one, valid=one != 1,
                rate=float(one), because=HOSTILE * (one == 1), reproduce="again",
            ) for one in range(1, 121)
        ])
    return store


def test_runs_are_filtered_sorted_searched_and_paged(store: Path) -> None:
    whole, invalid, fast, second, searched, seed = get(
        store, "/", "/?verdict=invalid", "/?sort=rate&campaign=nightly", "/?page=3",
        "/?text=answered", "/?seed=105&system=simulated",
    )
    assert "122 runs" in whole[1]
    assert rows(whole[1])[:2] == ["8", "7"]
    assert sorted(rows(invalid[1])) == ["101", "8"]
    assert rows(fast[1])[0] == "220"
    assert len(rows(second[1])) == 22
    assert rows(searched[1]) == ["8"]
    assert rows(seed[1]) == ["105"]


def test_nothing_in_a_run_becomes_html_or_a_script(store: Path) -> None:
    for status, text in get(store, "/?verdict=invalid", "/-/groups", "/-/campaigns"):
        assert status == 200
        assert "<script" not in text
        assert "default-src 'none'" in text


@pytest.mark.parametrize(("query", "message"), [
    ("verdict=maybe", "verdict=maybe: expected one of valid, invalid, unknown"),
    ("seed=x", "seed=x: expected an integer"), (f"seed={'9' * 40}", "expected an integer"),
    ("seed=9223372036854775808", "expected an integer"),
    ("page=-3", "page=-3: expected an integer from 1 to 2,000"),
    ("page=99999999999", "expected an integer"), ("sort=because", "sort=because: expected one of"),
    ("since=ever", "since=ever: expected one of 1h"), ("order=up", "order=up"),
    ("sytem=etcd", "sytem: no such filter; there are test, system"),
    ("%3Cb%3E=1", "no such filter"),
])
def test_a_wrong_filter_is_an_error_that_names_it(store: Path, query: str, message: str) -> None:
    ((status, text),) = get(store, f"/?{query}")
    assert status == 400
    assert message in text
    assert len(text.splitlines()) == 1


def test_empty_fields_and_any_text_are_filters(store: Path) -> None:
    empty = "&".join(f"{name}=" for name in ("text", "verdict", "since", "seed", "page", "sort"))
    paths = (f"/?{empty}", '/?text="%2A', "/?seed=-1", "/?order=desc")
    assert [status for status, _ in get(store, *paths)] == [200] * len(paths)


def test_campaigns_and_groups_link_to_their_runs(store: Path) -> None:
    campaigns, groups = get(store, "/-/campaigns", "/-/groups")
    assert 'href="/?campaign=nightly&amp;verdict=invalid">1<' in campaigns[1]
    assert 'href="/?group=lost">1 run<' in groups[1]
    assert "&lt;script&gt;" in groups[1]


def test_an_accepted_group_is_shown_with_its_reason(store: Path) -> None:
    groups = Groups(store)
    accepted = Acceptance("issue 12", "2999-01-01", "")
    groups.save(msgspec.structs.replace(groups.named("lost"), accepted=accepted))
    ((_, text),) = get(store, "/-/groups")
    assert "accepted until 2999-01-01: issue 12" in text


def test_two_runs_are_compared_and_what_differs_is_marked(store: Path) -> None:
    first, second = "etcd-kv/20260102T030405Z-7", "etcd-kv/20260102T030505Z-8"
    same, both, one, outside = get(
        store, f"/-/compare?run={first}&run={first}", f"/-/compare?run={first}&run={second}",
        f"/-/compare?run={first}", f"/-/compare?run={first}&run=../secret",
    )
    assert 'class="differs"' not in same[1]
    assert '<tr class="differs"><td>seed ≠</td><td>7</td><td>8</td></tr>' in both[1]
    assert (one[0], outside[0]) == (400, 400)


def test_folders_that_were_removed_or_copied_are_noticed(store: Path) -> None:
    async def ask() -> list[int]:
        async with TestClient(TestServer(application(store))) as client:
            counts = []
            for change in (
                lambda: None,
                lambda: write_run(store / "new" / "20270101T000000Z-1", SyntheticRun(5)),
                lambda: (store / "etcd-kv" / "20260102T030405Z-7").rename(store.parent / "gone"),
            ):
                change()
                async with client.get("/") as answer:
                    found = re.search(r"<p>(\d+) runs", await answer.text())
                    assert found is not None
                    counts.append(int(found[1]))
            return counts

    assert asyncio.run(ask()) == [122, 123, 122]


def test_a_run_under_way_is_followed_until_it_ends(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LIVE_PERIOD_S", 0.01)
    folder = store / "etcd-kv" / "20260103T000000Z-9"
    write_run(folder, SyntheticRun(60, faults=(("kill", 1, None, ("n2",), {}),)))
    whole = (folder / "history.jsonl").read_bytes()
    record = (folder / "run.json").read_bytes()
    half = whole.index(b"\n", len(whole) // 2) + 1
    (folder / "history.jsonl").write_bytes(whole[: half + 20])  # and a part of a line
    running = msgspec.json.encode({**msgspec.json.decode(record), "ended": "running"})
    (folder / "run.json").write_bytes(running)
    trace = folder / "n3" / "trace.jsonl"
    led = TraceEvent("n3", "lead", 5, term=4)
    trace.write_bytes(msgspec.json.encode(TraceEvent("n3", "lead", 1, term=2)) + b"\n")

    async def states() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        async with (
            TestClient(TestServer(application(store))) as client,
            client.get("/-/events?run=etcd-kv/20260103T000000Z-9") as answer,
        ):
            assert answer.headers["Content-Type"] == "text/event-stream"
            async for line in answer.content:
                if line.startswith(b"data: "):
                    found.append(msgspec.json.decode(line.removeprefix(b"data: ")))
                if len(found) == 1:
                    (folder / "history.jsonl").write_bytes(whole)
                    (folder / "run.json").write_bytes(record)
                    trace.write_bytes(trace.read_bytes() + msgspec.json.encode(led) + b"\n{")
        return found

    first, *_, last = asyncio.run(states())
    assert (first["ended"], last["ended"]) == ("running", "time limit")
    assert first["faults"] == ["kill n2"]
    assert (first["leader"], first["term"]) == ("n3", 2)
    assert (last["leader"], last["term"]) == ("n3", 4)
    assert 0 < sum(first["outcomes"].values()) < 60
    assert sum(last["outcomes"].values()) + last["open"] == 60
    live, outside = get(
        store, "/-/live?run=etcd-kv/20260103T000000Z-9", "/-/events?run=../secret"
    )
    assert "connect-src 'self'" in html.unescape(live[1])
    assert outside[0] == 404
