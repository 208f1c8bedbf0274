"""Measures the CPU time of a report of 100,000 operations: to write, to open and to zoom it.

The report is opened in Chromium. It is the report of a simulated run whose history was replaced by
a generated one. The time to open it is the CPU time of the page's main thread. While a user zooms,
the page is as responsive as its longest task is short. Wall time is not reliable on a shared
machine.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import msgspec

from splitbrain.harness.cli.main import run_main
from splitbrain.harness.report.write_report import write_report
from splitbrain.harness.synthetic.generator import generate
from tests.benchmarks.figure import Figure, load_average
from tests.browser import PROGRAM, Browser

OPERATIONS = 100_000
OPEN_AT_MOST_S, TASK_AT_MOST_MS = 3.0, 200.0
RUN = (
    "sim", "--workload", "kv", "--nodes", "3", "--nemesis", "kill,partition", "--time-limit", "2",
    "--seed", "2", "--no-report", "--quiet",
)
ZOOMS = ((0.1, 0.9), (0.3, 0.5), (0.4, 0.42), (0.0, 1.0))
"""Each range of time that is shown in turn, in shares of the run."""
SETTLED_S = 2.0
RUN_END_S = "document.getElementById('timeline')._fullLayout.xaxis.range[1]"
ZOOM = """Plotly.relayout(document.getElementById("timeline"),
    {{"xaxis.range[0]": {low}, "xaxis.range[1]": {high}}}).then(() => true)"""


def run() -> list[Figure]:
    if PROGRAM is None:
        raise SystemExit("the benchmark `report` needs the program chromium")
    with tempfile.TemporaryDirectory() as store:
        run_main([*RUN, "--store", store])
        folder = (Path(store) / "latest").resolve()
        write_history(folder / "history.jsonl")
        began = time.process_time()
        report = write_report(folder)
        written_s = time.process_time() - began
        opened, zoomed = asyncio.run(measure(report))
    notes: dict[str, float | str] = {
        "operations": OPERATIONS, "longest tasks, CPU ms": ", ".join(
            f"{one:.0f}" for one in sorted(zoomed, reverse=True)[:4]
        ),
        "seconds to write it": round(written_s, 2), "load average": load_average(),
    }
    return [
        Figure(name="the report of 100,000 operations opens", unit="CPU s",
               value=round(sum(opened) / 1000, 2), bound=OPEN_AT_MOST_S, bound_kind="at most",
               notes=notes),
        Figure(name="longest task while zooming in it", unit="CPU ms", value=round(max(zoomed)),
               bound=TASK_AT_MOST_MS, bound_kind="at most", notes=notes),
    ]


def write_history(path: Path) -> None:
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as out:
        out.writelines(
            encode(event) + b"\n" for event in generate("kv", OPERATIONS, 32, seed=0).events
        )


async def measure(report: Path) -> tuple[list[float], list[float]]:
    """The CPU ms of each task of the page while it opens, and while it is zoomed."""
    async with Browser() as browser:
        page = await browser.page()

        async def load() -> None:
            await page.open(report.as_uri())
            await asyncio.sleep(SETTLED_S)

        async def zoom() -> None:
            end_s = await page.evaluate(RUN_END_S)
            for low, high in ZOOMS:
                await page.evaluate(ZOOM.format(low=low * end_s, high=high * end_s))
                await asyncio.sleep(SETTLED_S)

        return await page.tasks_ms(load), await page.tasks_ms(zoom)
