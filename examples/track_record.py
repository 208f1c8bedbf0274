"""Measures the finds of the examples, and writes docs/track-record.md.

    python examples/track_record.py --store redis --tries 5

The file `finds.toml` of an example contains the rows of its table. Each row is tried with the seeds
1, 2, 3, …. Each try is one run, and its result is appended to the example's `track-record.jsonl`. A
try that is already in that file is not repeated, so an interrupted measurement is resumed. To
measure anew, remove the file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from splitbrain import read_options, run_sync

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "track-record.md"
RESULTS = "track-record.jsonl"


def rows_of(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((folder / "finds.toml").read_text())["row"]
    return found


def results_of(folder: Path) -> list[dict[str, Any]]:
    path = folder / RESULTS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@contextlib.contextmanager
def working_directory(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        os.chdir(before)


def tried(row: dict[str, Any], seed: int) -> dict[str, Any]:
    """Run `row` once with `seed`, and return the result as a line of `track-record.jsonl`.

    The seconds include the set-up and the judging.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="splitbrain-track-record-") as store:
        options = read_options({**row["options"], "seed": seed, "store": store})
        result = run_sync(options, report=False)
        repro = json.loads((result.folder / "repro.json").read_text())
    kinds: dict[str, int] = {}
    for verdict in result.results.verdicts:
        for kind, count in verdict.kinds.items():
            kinds[kind] = kinds.get(kind, 0) + count
    name = repro["options"]["system"].rpartition(":")[2].lower()
    own = {part: text for part, text in repro["versions"].items() if part.replace("-", "") == name}
    return {
        "row": row["name"], "seed": seed, "valid": result.valid, "error": result.error,
        "kinds": kinds, "seconds": round(time.monotonic() - began, 1),
        "operations": result.results.operations["all"], "versions": own,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def is_expected(row: dict[str, Any], result: dict[str, Any]) -> bool:
    if not row["finds"]:
        return result["valid"] is True
    return result["valid"] is False and set(row["finds"]) <= set(result["kinds"])


def measure(folder: Path, tries: int) -> None:
    for row in rows_of(folder):
        done = {one["seed"] for one in results_of(folder) if one["row"] == row["name"]}
        for seed in range(1, tries + 1):
            if seed in done:
                continue
            with working_directory(folder):
                result = tried(row, seed)
            with (folder / RESULTS).open("a") as file:
                file.write(json.dumps(result) + "\n")
            word = "as expected" if is_expected(row, result) else "NOT AS EXPECTED"
            print(f"{folder.name}, {row['name']}, seed {seed}: {word}, {result['kinds']}, "
                  f"{result['seconds']} s", flush=True)


def counted(kinds: list[dict[str, int]]) -> str:
    names = sorted({name for one in kinds for name in one})
    return ", ".join(
        f"{name} ({statistics.median(one.get(name, 0) for one in kinds):g})" for name in names
    ) or "none"


def page() -> str:
    """The whole page, from the results of all examples."""
    lines = [
        "# Track record", "",
        "What the tests in `examples/` find in stores that others wrote. Each row is measured with "
        "the seeds", "1, 2, 3, …. *As expected* counts the tries in which an expected anomaly was "
        "found, or, for a", "control, the tries that were valid. The time is that of one try, with "
        "set-up and judging.", "",
        "    make track-record STORE=redis", "",
        "measures one store. Tries that are already in the example's `track-record.jsonl` are not "
        "repeated.", "",
    ]
    for folder in sorted(path.parent for path in HERE.glob("*/finds.toml")):
        results = results_of(folder)
        if not results:
            continue
        versions = sorted({text for one in results for text in one["versions"].values()})
        lines += [
            f"## {folder.name}", "", f"{'; '.join(versions)}. See "
            f"[examples/{folder.name}](../examples/{folder.name}/README.md).", "",
            "| what runs | expected | as expected | anomalies (median number) | median time |",
            "|---|---|---|---|---|",
        ]
        for row in rows_of(folder):
            own = [one for one in results if one["row"] == row["name"]]
            if not own:
                continue
            right = sum(is_expected(row, one) for one in own)
            seconds = statistics.median(one["seconds"] for one in own)
            lines.append(
                f"| {row['name']} | {row['claim']} | {right} of {len(own)} | "
                f"{counted([one['kinds'] for one in own])} | {seconds:.0f} s |"
            )
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", action="append", help="the folder of an example [all]")
    parser.add_argument("--tries", type=int, default=5)
    given = parser.parse_args()
    stores = given.store or [path.parent.name for path in sorted(HERE.glob("*/finds.toml"))]
    for store in stores:
        if not (HERE / store / "finds.toml").is_file():
            parser.error(f"--store {store}: there is no examples/{store}/finds.toml")
        measure(HERE / store, given.tries)
    PAGE.write_text(page())
    print(PAGE)


if __name__ == "__main__":
    main()
