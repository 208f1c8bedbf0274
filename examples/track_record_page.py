"""Writes the text of the page docs/track-record.md from the results of all examples."""

from __future__ import annotations

import hashlib
import json
import statistics
import tomllib
from pathlib import Path
from typing import Any

from splitbrain.harness.schedule.options import flag_of

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "track-record.md"
RESULTS = "track-record.jsonl"
WORDS_MAX = 600
"""A result keeps at most this number of characters of a verdict."""
WORDS_SHOWN_MAX = 300
ISSUES = "https://github.com/etcd-io/etcd/issues"
RECORD_ROWS = 16
OVER_GRPC = ", over gRPC"
"""The names of rows that repeat another row over gRPC end with this text."""


def rows_of(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((folder / "finds.toml").read_text())["row"]
    return found


def results_of(folder: Path) -> list[dict[str, Any]]:
    path = folder / RESULTS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def digest_of(row: dict[str, Any]) -> str:
    """Return a short digest of those fields of a row that change the results of its tries."""
    text = json.dumps([row["options"], row.get("release", ""), row.get("shows", [])])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def is_of(row: dict[str, Any], result: dict[str, Any]) -> bool:
    """Return whether `result` is a result of `row` with the present options of the row."""
    digest = digest_of(row)
    return bool(result["row"] == row["name"] and result.get("of", digest) == digest)


def is_expected(row: dict[str, Any], result: dict[str, Any]) -> bool:
    if "shows" in row:
        return bool(result["words"]) == (result["release"] == row["release"])
    if not row["finds"]:
        return result["valid"] is True
    return result["valid"] is False and set(row["finds"]) <= set(result["kinds"])


def counted(kinds: list[dict[str, int]]) -> str:
    names = sorted({name for one in kinds for name in one})
    return ", ".join(
        f"{name} ({statistics.median(one.get(name, 0) for one in kinds):g})" for name in names
    ) or "none"


def page() -> str:
    """Return the text of the whole page, from the results of all examples."""
    lines = [
        "# Track record", "",
        "The folder `examples/` contains tests of stores that others wrote. This page shows what",
        "these tests find. Each row of a table is one configuration of a store and its faults. A",
        "*try* is one run of this configuration. The tries have the seeds 1, 2, 3, …. Some rows",
        "are *controls*, which are expected to be valid.", "",
        "- *Tries with this result*: the number of tries that found an expected anomaly. For a",
        "  control, it is the number of valid tries.",
        "- *Anomalies*: the kinds of anomalies, with their median number in a try.",
        "- *Median time of a try*: the time includes set-up and judging.",
        "- Some seeds were tried a second time, on a busy machine. The second try is left out if",
        "  it found nothing and sent less than a quarter of the operations of the first try.", "",
        "This command measures one store. It does not repeat tries whose results are already in",
        "the file `track-record.jsonl` of the example:", "",
        "    make track-record STORE=redis", "",
    ]
    for folder in sorted(path.parent for path in HERE.glob("*/finds.toml")):
        results = results_of(folder)
        if not results:
            continue
        if "shows" in rows_of(folder)[0]:
            lines += bugs_found(folder)
            continue
        versions = sorted({text for one in results for text in one["versions"].values()})
        lines += [
            f"## {folder.name}", "", f"Tested version: {', '.join(versions)}. See "
            f"[examples/{folder.name}](../examples/{folder.name}/README.md).", "",
            "| store and faults | expected result | tries with this result | anomalies (median "
            "number in a try) | median time of a try |",
            "|---|---|---|---|---|",
        ]
        for row in rows_of(folder):
            own = [one for one in results if is_of(row, one)]
            if not own:
                continue
            right = sum(is_expected(row, one) for one in own)
            seconds = statistics.median(one["seconds"] for one in own)
            lines.append(
                f"| {row['name']} | {row['claim']} | {right} of {len(own)} | "
                f"{counted([one['kinds'] for one in own])} | {seconds:.0f} s |"
            )
        lines += ["", *finds(folder)]
    return "\n".join(lines)


def finds(folder: Path) -> list[str]:
    """Return the lines with the first find of each row of a store, and what is documented."""
    lines: list[str] = []
    for row in rows_of(folder):
        own = [one for one in results_of(folder) if is_of(row, one)]
        first = next((one for one in own if one.get("words") and is_expected(row, one)), None)
        if first is None:
            continue
        lines += [
            f"- **{row['name']}**, seed {first['seed']}, `{command_of(row)}`:", "",
            f"        {shown(first['words'])}", "",
            *([f"    {row['documented']}", ""] if "documented" in row else []),
        ]
    if not lines:
        return []
    return [
        "For each row whose tries found an anomaly, the following list shows one such try: its",
        "seed, its options, the first words of its verdict, and what the store documents about it:",
        "",
        *lines,
    ]


def bugs_found(folder: Path) -> list[str]:
    """Return the lines about a store whose rows are known bugs of its releases.

    `folder` is the folder of the example.
    """
    rows, results = rows_of(folder), results_of(folder)
    found = [row for row in rows if tries_of(row, results)[0]]
    # A bug has two rows if it was also tried over gRPC.
    bugs = {row["name"].removesuffix(OVER_GRPC): row["in_record"] for row in found}
    listed = sum(bugs.values())
    lines = [
        f"## {folder.name}", "",
        "The table lists known bugs of unmodified releases of etcd, and how often Splitbrain's",
        "general workloads and faults found them. The [track record of etcd's robustness tests]"
        "(https://github.com/etcd-io/etcd/blob/main/tests/robustness/README.md)",
        f"contains {RECORD_ROWS} bugs that a released etcd has. Splitbrain found {listed} of them, "
        f"and {len(bugs) - listed} other bugs.", "",
        "- A try has *found* a bug if an anomaly has the signature of the bug. The file",
        "  [`finds.toml`](../examples/etcd/finds.toml) contains the signatures and the options.",
        "- *Fixed release* is one try with the same options and a release that has the fix. If",
        "  this try did not show the bug, the column contains *not shown*.",
        "- A row with 0 finds is a bug that no try has found yet.",
        "- All tries ran on two cores that other programs kept busy (load 15 to 30). Bugs that",
        "  need a short race are therefore found less often, and all times are longer than on an",
        "  idle machine.", "", "See [examples/etcd](../examples/etcd/README.md) for the test.", "",
        "| bug | in etcd's record | release | found | median time of a find | fixed release | "
        "what happens |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        count, tries, seconds = tries_of(row, results)
        if not tries or "shows" not in row:
            continue
        lines.append(
            f"| {link_of(row)} | {'yes' if row['in_record'] else 'no'} | {row['release']} | "
            f"{count} of {tries} | {f'{seconds:.0f} s' if count else ''} | "
            f"{fixed_text(row, results)} | {row['claim']} |"
        )
    lines += controls(rows, results)
    lines += [
        "", "The following list shows for each bug the first try that found it: its seed, its",
        "options, and the first words of its verdict:", "",
    ]
    for row in found:
        first = next(one for one in results if is_find(row, one))
        lines += [
            f"- **{row['name']}**, seed {first['seed']}, `{command_of(row)}`:", "",
            f"        {shown(first['words'])}", "",
        ]
    return lines


def controls(rows: list[dict[str, Any]], results: list[dict[str, Any]]) -> list[str]:
    """Return the lines with the table of the rows that must be valid; [] if none was tried."""
    lines: list[str] = []
    for row in rows:
        own = [one for one in results if is_of(row, one)]
        if "shows" in row or not own:
            continue
        valid = f"{sum(is_expected(row, one) for one in own)} of {len(own)}"
        if unknown := sum(one["valid"] is None for one in own):
            valid += f", {unknown} unknown"
        seconds = statistics.median(one["seconds"] for one in own)
        lines.append(
            f"| {row['name'].removeprefix('control: ')}: {row['claim']} | {row['release']} | "
            f"{valid} | {counted([one['kinds'] for one in own])} | {seconds:.0f} s |"
        )
    head = [
        "", "A control is a run that must be valid. The tries of #15220 and #18089, and their "
        "controls over gRPC,", "ran at raised priority. These tries replace earlier tries. Most of "
        "the earlier tries sent fewer than", "200 operations, because the machine was busy.", "",
        "| control | release | valid | anomalies | median time |", "|---|---|---|---|---|",
    ]
    return [*head, *lines] if lines else []


def is_find(row: dict[str, Any], result: dict[str, Any]) -> bool:
    return bool(is_of(row, result) and result["release"] == row["release"] and result["words"])


def shown(words: str) -> str:
    """Return the beginning of `words`, KIND: TEXT, without a text's own KIND at its beginning."""
    first = words.strip().splitlines()[0]
    kind, _, text = first.partition(": ")
    return (text if text.startswith(f"{kind}: ") else first)[:WORDS_SHOWN_MAX]


def tries_of(row: dict[str, Any], results: list[dict[str, Any]]) -> tuple[int, int, float]:
    """Return the number of finds, the number of tries, and the median seconds of a find."""
    own = [one for one in results if is_of(row, one) and one["release"] == row["release"]]
    seconds = [one["seconds"] for one in own if one["words"]]
    return len(seconds), len(own), statistics.median(seconds) if seconds else 0.0


def fixed_text(row: dict[str, Any], results: list[dict[str, Any]]) -> str:
    own = [one for one in results if is_of(row, one) and one["release"] == row.get("fixed")]
    if not own:
        return ""
    return f"{row['fixed']}: {'shown again' if own[0]['words'] else 'not shown'}"


def link_of(row: dict[str, Any]) -> str:
    number = row.get("issue")
    return f"[{row['name']}]({ISSUES}/{number})" if number else str(row["name"])


def command_of(row: dict[str, Any]) -> str:
    """Return the options of the row, as a user types them after `splitbrain run`."""
    words = []
    for name, value in row["options"].items():
        flag = flag_of(name)
        if name == "workload_options":
            words += [f"-o {option}={given}" for option, given in value.items()]
        elif name in ("system_options", "client_options"):
            words += [f"--{flag} {option}={given}" for option, given in value.items()]
        elif name == "member_flags":
            words += [f"--member-flag={given}" for given in value]
        elif isinstance(value, list):
            words.append(f"--{flag} {','.join(map(str, value)) or 'none'}")
        else:
            words.append(f"--{flag} {value:g}" if isinstance(value, float) else f"--{flag} {value}")
    return " ".join(words)
