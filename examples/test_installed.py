"""The Python client of each installed store is installed, too, so that its tests can run."""

import os
import subprocess
import sys

import pytest
from installed import Example, examples


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.folder.name)
def test_the_module_of_an_installed_store_can_be_imported(example: Example) -> None:
    modules = [path.stem for path in example.folder.glob("*_store.py")]
    if not example.installed or not modules:
        pytest.skip(example.install)
    path = os.pathsep.join([str(example.folder), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", "\n".join(f"import {module}" for module in modules)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True,
        check=False,
    )
    assert done.returncode == 0, f"{example.install}: {done.stderr}"
