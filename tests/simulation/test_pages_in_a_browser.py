"""The web view in headless Chromium: wide, narrow, light, dark, by keyboard, without network."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from splitbrain.harness.report.run_data import read_run
from splitbrain.harness.report.web.server import application
from splitbrain.harness.report.write_path.waterfall_options import writes_by_revision
from tests.browser import PROGRAM, Browser, Page

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs chromium")

RUN = [
    "sim", "--mutant", "compare_lost", "--workload", "kv", "--nodes", "3", "--nemesis", "partition",
    "--time-limit", "2", "--seed", "2", "--no-report",
]
WIDER_THAN_THE_PAGE = """[...document.querySelectorAll("main *")].filter((one) =>
    one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll, thead")
).map((one) => one.outerHTML.slice(0, 200))"""
FOCUSABLE = "document.querySelectorAll('a[href], button, input, select, [tabindex]').length"
CONTRAST = """(() => {
    const light = (colour) => colour.match(/\\d+/g).map(Number).reduce((sum, one) => sum + one);
    const style = getComputedStyle(document.body);
    return [light(style.backgroundColor), light(style.color)];
})()"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a planted bug. It has a process of its own, because the bug stays in the process."""
    folder = tmp_path_factory.mktemp("store")
    command = [sys.executable, "-m", "splitbrain", *RUN, "--store", str(folder)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1
    return folder


def paths(store: Path) -> list[str]:
    folder = (store / "latest").resolve()
    name = folder.relative_to(store).as_posix()
    run = read_run(folder)
    assert run.steps is not None
    write = next(
        one for revision, one in writes_by_revision(run.spans).items()
        if revision in run.steps.revisions
    )
    return [
        "/", f"/-/operation?run={name}", f"/-/operation?run={name}&event={write.invoked}",
        f"/-/playback?run={name}",
    ]


async def check(page: Page, url: str, *, dark: bool) -> None:
    page.requested.clear()
    await page.open(url)
    assert await page.evaluate("document.querySelector('h1').textContent.length") > 0
    assert await page.evaluate(WIDER_THAN_THE_PAGE) == [], url
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), url
    ground, ink = await page.evaluate(CONTRAST)
    assert (ground < ink) == dark
    assert page.requested, "the browser reports no request"
    assert {one.split("/")[2] for one in page.requested} == {url.split("/")[2]}
    assert await page.evaluate(FOCUSABLE) > 0
    await page.press("Tab")
    assert await page.evaluate("document.activeElement !== document.body"), url


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (500, True)])
def test_a_page_fits_is_reached_by_keyboard_and_asks_only_its_server(
    store: Path, width: int, dark: bool
) -> None:
    async def look() -> None:
        async with TestServer(application(store)) as server, Browser() as browser:
            page = await browser.page(width=width, dark=dark)
            for path in paths(store):
                await check(page, str(server.make_url(path)), dark=dark)
            await look_at_diagram(page)
            await page.close()

    asyncio.run(look())


async def look_at_diagram(page: Page) -> None:
    """The sequence diagram of the playback, which is the last page."""
    assert await page.evaluate("document.querySelectorAll('svg.sequence g.request').length") > 0
    assert await page.evaluate("document.querySelectorAll('svg.sequence g.append').length") > 0
    names = "[...document.querySelectorAll('svg.sequence .name')].map((one) => one.textContent)"
    assert (await page.evaluate(names))[-3:] == ["n1", "n2", "n3"]
