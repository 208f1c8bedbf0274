"""`splitbrain init`: writes a system, a client and a test for a toy store, to start from."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

import splitbrain
from splitbrain.harness.errors import BadArguments

SKELETON = Path(str(splitbrain.__file__)).parent / "harness" / "skeleton"
FILES = ("toy_store.py", "my_store.py", "test_my_store.py")
MARK = "# REPLACE: "
INSTALL = "pip install 'splitbrain[pytest]'"
CONFIGURATION = "pytest.ini"
CONFIGURATION_TEXT = """\
[pytest]
pythonpath = .
testpaths = .
"""


@click.command("init", short_help="Write a test of a toy store, to start from.")
@click.argument("folder", type=click.Path(path_type=Path), default=".", required=False)
def command(folder: Path) -> int:
    """Write the files of a test into FOLDER, by default the working directory.

    The files are my_store.py (starts the store, and calls it), test_my_store.py, toy_store.py (a
    store of 70 lines, to be replaced by yours) and pytest.ini. The test passes as it is. Then
    replace the marked lines with lines for your store. Existing files are not overwritten.

    The test needs pytest, which is installed with the extra `pytest`:
    pip install 'splitbrain[pytest]'.

    \b
    Example:
      splitbrain init my-test && cd my-test && pytest

    \b
    Exit codes: 0 written, 254 a file exists already.
    """
    existing = [name for name in (*FILES, CONFIGURATION) if (folder / name).exists()]
    if existing:
        raise BadArguments(f"{folder} already contains {', '.join(existing)}: give another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (folder / name).write_text((SKELETON / name).read_text())
        (folder / CONFIGURATION).write_text(CONFIGURATION_TEXT)
    except OSError as problem:
        raise BadArguments(
            f"{folder} cannot be written: {problem.strerror}; give another folder"
        ) from problem
    click.echo(f"wrote {', '.join((*FILES, CONFIGURATION))}")
    if importlib.util.find_spec("pytest") is None:
        click.echo(f"the test needs pytest:  {INSTALL}")
    click.echo("run the test:  pytest")
    click.echo("replace, one after the other:")
    for place, what in replacements(folder / "my_store.py"):
        click.echo(f"  my_store.py:{place}  {what}")
    click.echo("  toy_store.py  delete it, when your store runs in its place")
    return 0


def replacements(file: Path) -> list[tuple[int, str]]:
    """Find the lines of `file` that the user must replace.

    Returns the number of each marked line, and the text of its mark.
    """
    found = []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        _, mark, what = line.partition(MARK)
        if mark:
            found.append((number, what))
    return found
