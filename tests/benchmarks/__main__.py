"""Runs benchmarks, and compares the figures with those of peers and with requirements.

Usage: `python -m tests.benchmarks [NAME…]`
"""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from splitbrain.harness.store.versions import versions_now
from splitbrain.harness.systems.etcd_like.etcd import find_binary, version_of
from tests.benchmarks.catalogue import BENCHMARKS, run
from tests.benchmarks.figure import Figure, load_average


@click.command(context_settings={"max_content_width": 100})
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--list", "listing", is_flag=True, help="List the benchmarks and exit.")
@click.option(
    "--json", "path", type=click.Path(dir_okay=False, path_type=Path),
    help="The file for all measurements.  [default: store/benchmarks/TIME.json]",
)  # fmt: skip
def main(names: tuple[str, ...], listing: bool, path: Path | None) -> None:
    """Run the named benchmarks, or all of them, one after the other, and print their figures.

    Run them on an idle machine. The load average is printed with each figure.

    Exit codes: 0 every requirement is met, 1 a requirement is not met, 2 unknown benchmark.
    """
    if listing:
        for name, description in BENCHMARKS.items():
            click.echo(f"{name:12} {description}")
        return
    for name in names:
        if name not in BENCHMARKS:
            known = ", ".join(BENCHMARKS)
            raise click.UsageError(f"unknown benchmark {name!r}; expected one of: {known}")
    measured: dict[str, list[Figure]] = {}
    for name in names or BENCHMARKS:
        click.echo(f"{name}: {BENCHMARKS[name]} (load average {load_average()})", err=True)
        measured[name] = run(name)
        show(measured[name])
    write(measured, path or default_path())
    missed = [one.name for figures in measured.values() for one in figures if one.met is False]
    for name in missed:
        click.echo(f"requirement not met: {name}", err=True)
    sys.exit(1 if missed else 0)


def show(figures: list[Figure]) -> None:
    table = Table(
        "figure", "unit", "measured", "peer", "peer measured", "ratio to peer", "required", "met",
        "load average",
    )  # fmt: skip
    for one in figures:
        table.add_row(
            one.name,
            one.unit,
            number(one.value),
            one.peer_name,
            number(one.peer),
            "" if one.ratio is None else f"{one.ratio:.2f}",
            one.required,
            {True: "yes", False: "NO", None: ""}[one.met],
            str(one.notes.get("load average", "")),
        )
    Console(width=None if sys.stdout.isatty() else 150).print(table)
    for one in (figure for figure in figures if figure.notes):
        notes = "; ".join(f"{name}: {value}" for name, value in one.notes.items())
        click.echo(f"  {one.name}: {notes}")


def number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def write(measured: dict[str, list[Figure]], path: Path) -> None:
    """Write the figures with their ratios, the versions and the machine, as JSON."""
    figures = {
        name: [
            {**msgspec.to_builtins(one), "ratio": one.ratio, "met": one.met} for one in figures
        ]
        for name, figures in measured.items()
    }
    report = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "processor": platform.machine()},
        "versions": {**versions_now(), "etcd": version_of(find_binary())},
        "figures": figures,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    click.echo(f"written to {path}", err=True)


def default_path() -> Path:
    return Path("store") / "benchmarks" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}.json"


if __name__ == "__main__":
    main(prog_name="python -m tests.benchmarks")
