"""`python -m tests.client_suites install | run`: the test suites of other people's clients."""

from __future__ import annotations

import sys

import click

from tests.client_suites.catalogue import SUITES
from tests.client_suites.install import install as install_suite
from tests.client_suites.install import is_installed
from tests.client_suites.run import run_in_namespaces


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Install and run the test suites of clients that others wrote for etcd."""


@main.command()
def install() -> None:
    """Download the suites from PyPI into .client_suites/."""
    for suite in SUITES.values():
        install_suite(suite)
        click.echo(f"{suite.name}: {suite.release} is installed")


@main.command()
@click.argument("names", nargs=-1, type=click.Choice(tuple(SUITES)), metavar="[NAME]…")
@click.option("--sample", is_flag=True, help="Run only the quick tests, with few examples.")
def run(names: tuple[str, ...], *, sample: bool) -> None:
    """Run the suites against three members. Exit code 1: a test failed. Needs root privileges."""
    failed = False
    for name in names or SUITES:
        suite = SUITES[name]
        if not is_installed(suite):
            raise click.UsageError(f"{name} is not installed; try: {main.name} install")
        result = run_in_namespaces(suite, sample=sample)
        failed = failed or bool(result.failed)
        click.echo(
            f"{name} ({suite.release}, {suite.carrier}): {len(result.passed)} passed,"
            f" {len(result.failed)} failed, {len(result.skipped)} skipped,"
            f" {len(suite.left_out)} left out"
        )
        for test, message in result.failed.items():
            click.echo(f"  {test}: {message}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(prog_name="python -m tests.client_suites")
