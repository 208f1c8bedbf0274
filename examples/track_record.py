"""Measures the finds of the examples, and writes docs/track-record.md.

    python examples/track_record.py --store redis --tries 5
    python examples/track_record.py --store etcd --row 15220 --row 18089

The file `finds.toml` of an example contains the rows of its table. Each row is tried with the seeds
1, 2, 3, …. Each try is one run, and its result is appended to the example's `track-record.jsonl`. A
try that is already in that file is not repeated, so an interrupted measurement is resumed. To
measure anew, remove the file. The results of a row whose options have changed do not count. A run
that failed, for example because a member did not start, is no try: it is printed, and the next
measurement repeats it.

A row with `shows` is one known bug of one release: a try has found the bug if an anomaly has one of
the signatures in `shows`. Such a row is also tried once with the release `fixed`, if it has one,
which must not show the bug. A row with a `release` and without `shows` is a control.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from installed import examples
from track_record_page import (
    HERE,
    PAGE,
    RESULTS,
    WORDS_MAX,
    digest_of,
    is_expected,
    is_of,
    page,
    results_of,
    rows_of,
)

from splitbrain import RunResult, read_options, run_sync
from splitbrain.harness.known_bugs.known_bug import Signature

RELEASES = "ETCD_RELEASES"
"""The environment variable with the folder of etcd's releases, each in VERSION/etcd."""


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


def binary_of(release: str) -> Path:
    """Return the path of the etcd binary of a release. Ends the program if it does not exist."""
    folder = Path(os.environ.get(RELEASES) or HERE / "etcd" / "releases")
    binary = folder / release / "etcd"
    if not binary.is_file():
        sys.exit(
            f"{binary} does not exist; run `python examples/etcd/releases.py {folder}`, or set "
            f"{RELEASES} to a folder that contains {release}/etcd"
        )
    return binary.resolve()


def tried(row: dict[str, Any], seed: int, release: str) -> dict[str, Any]:
    """Run the row `row` of `finds.toml` once, and return a line of `track-record.jsonl`.

    `release` is the release of etcd, or "" for another store. The seconds in the result include the
    set-up and the judging.
    """
    began = time.monotonic()
    options: dict[str, Any] = {**row["options"], "seed": seed}
    if release:
        options |= {"system": "etcd", "etcd_binary": str(binary_of(release))}
    with tempfile.TemporaryDirectory(prefix="splitbrain-track-record-") as store:
        result = run_sync(read_options({**options, "store": store}), report=False)
        repro = json.loads((result.folder / "repro.json").read_text())
    kinds: dict[str, int] = {}
    for verdict in result.results.verdicts:
        for kind, count in verdict.kinds.items():
            kinds[kind] = kinds.get(kind, 0) + count
    name = repro["options"]["system"].rpartition(":")[2].lower()
    own = {part: text for part, text in repro["versions"].items() if part.replace("-", "") == name}
    found = {"words": words_of(row, result), **({"release": release} if release else {})}
    return {
        "row": row["name"], "seed": seed, "valid": result.valid, "error": result.error,
        "kinds": kinds, "seconds": round(time.monotonic() - began, 1),
        "operations": result.results.operations["all"], "versions": own,
        "date": time.strftime("%Y-%m-%d", time.gmtime()), "of": digest_of(row), **found,
    }


def words_of(row: dict[str, Any], result: RunResult) -> str:
    """Return the text of the first anomaly that the row `row` is about, or ""."""
    signatures = [msgspec.convert(one, Signature) for one in row.get("shows", ())]
    return next(
        (
            " ".join(f"{anomaly.kind}: {anomaly.because}".split())[:WORDS_MAX]
            for verdict in result.results.verdicts
            for anomaly in verdict.anomalies
            if anomaly.kind in row.get("finds", ())
            or any(signature.matches(verdict.checker, anomaly) for signature in signatures)
        ),
        "",
    )


def plan_of(row: dict[str, Any], tries: int) -> Iterator[tuple[int, str]]:
    """Yield the tries of a row: (seed, release).

    A row of a known bug ends with one try of the release that fixed the bug.
    """
    release = row.get("release", "")
    for seed in range(1, tries + 1):
        yield seed, release
    if row.get("fixed"):
        yield 1, row["fixed"]


def measure(folder: Path, tries: int, names: Sequence[str]) -> None:
    for row in rows_of(folder):
        if names and row["name"] not in names:
            continue
        done = {
            (one["seed"], one.get("release", ""))
            for one in results_of(folder) if is_of(row, one)
        }
        for seed, release in plan_of(row, tries):
            if (seed, release) in done:
                continue
            with working_directory(folder):
                result = tried(row, seed, release)
            if result["error"]:
                print(f"{folder.name} {release}, {row['name']}, seed {seed}: the run failed, so "
                      f"it does not count: {result['error']}", flush=True)
                continue
            with (folder / RESULTS).open("a") as file:
                file.write(json.dumps(result) + "\n")
            word = "as expected" if is_expected(row, result) else "NOT AS EXPECTED"
            print(f"{folder.name} {release}, {row['name']}, seed {seed}: {word}, "
                  f"{result['kinds']}, {result['seconds']} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--store", action="append", help="the name of an example's folder [all that are installed]"
    )
    parser.add_argument(
        "--row", action="append", default=[], help="the name of a row to measure [all]"
    )
    parser.add_argument(
        "--tries", type=int, help="the number of tries of each row [etcd: 3, other stores: 5]"
    )
    given = parser.parse_args()
    stores = given.store or [path.parent.name for path in sorted(HERE.glob("*/finds.toml"))]
    for store in stores:
        if not (HERE / store / "finds.toml").is_file():
            parser.error(f"--store {store}: there is no examples/{store}/finds.toml")
        example = next((one for one in examples() if one.folder.name == store), None)
        if example and not example.installed:
            if given.store:
                parser.error(f"--store {store} is not installed: {example.install}")
            print(f"{store} is not installed: {example.install}")
            continue
        tries = given.tries or (3 if store == "etcd" else 5)
        measure(HERE / store, tries, given.row)
    PAGE.write_text(page())
    print(PAGE)


if __name__ == "__main__":
    main()
