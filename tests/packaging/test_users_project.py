"""The installed wheel works in a project whose packages have the names of our folders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from splitbrain.harness.mutants.catalogue import names
from tests.packaging.build import COMMAND_TIMEOUT_S, ROOT, Environment
from tests.packaging.users_project import (
    FOLDERS,
    IMPORTED,
    make_hostile_folder,
    make_project,
)

pytestmark = [pytest.mark.xdist_group("packaging"), pytest.mark.cluster]

FAST_ELECTIONS = ("--heartbeat-ms", "50", "--election-ms", "400")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "shop")


def shown(done: subprocess.CompletedProcess[str]) -> str:
    return f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"


def test_the_environment_contains_the_wheel_and_not_the_checkout(
    environment: Environment, tmp_path: Path
) -> None:
    code = "import splitbrain, sys; print(splitbrain.__file__, *sys.path, sep='\\n')"
    done = environment.run(["python", "-P", "-c", code], tmp_path)
    module, *path = done.stdout.splitlines()
    assert Path(module).is_relative_to(environment.site_packages)
    assert not [entry for entry in path if Path(entry).is_relative_to(ROOT)]
    assert not list(environment.site_packages.glob("*.pth"))
    for name in FOLDERS:
        done = environment.run(["python", "-P", "-c", f"import {name}"], tmp_path)
        assert f"No module named '{name}'" in done.stderr


@pytest.mark.parametrize("command", [("pytest",), ("python", "-m", "pytest", "-n", "2")])
def test_the_projects_tests_pass(
    environment: Environment, project: Path, command: tuple[str, ...]
) -> None:
    done = environment.run([*command, "--splitbrain-seed", "7"], project)
    assert done.returncode == 0, shown(done)
    assert "6 passed" in done.stdout
    importers = {line.split()[0] for line in (project / IMPORTED).read_text().splitlines()}
    assert not [one for one in importers if "splitbrain/" in one]


def test_a_run_is_valid_and_imports_nothing_of_the_project(
    environment: Environment, project: Path
) -> None:
    words = ["run", "--nodes", "3", "--time-limit", "2", "--nemesis", "kill,partition"]
    done = environment.run(["splitbrain", *words, "--seed", "7", *FAST_ELECTIONS], project)
    assert done.returncode == 0, shown(done)
    assert "verdict: valid" in done.stdout
    assert (project / "store" / "latest" / "report.html").is_file()
    assert not (project / IMPORTED).exists()


def test_a_simulated_run_is_valid_and_imports_nothing_of_the_project(
    environment: Environment, project: Path
) -> None:
    done = environment.run(["splitbrain", "sim", "--seed", "7", "--no-report"], project)
    assert done.returncode == 0, shown(done)
    assert "digest: " in done.stdout
    assert not (project / IMPORTED).exists()


def test_a_run_with_a_planted_bug_is_invalid(environment: Environment, project: Path) -> None:
    words = ["run", "--mutant", "compare_lost", "--time-limit", "3", "--seed", "7", "--no-report"]
    done = environment.run(["splitbrain", *words], project)
    assert done.returncode == 1, shown(done)
    assert "verdict: invalid" in done.stdout
    assert not (project / IMPORTED).exists()


def test_the_wheel_contains_every_planted_bug(environment: Environment, project: Path) -> None:
    done = environment.run(["splitbrain", "list", "mutants"], project)
    assert done.returncode == 0, shown(done)
    assert [name for name in names() if name not in done.stdout] == []


@pytest.mark.parametrize("more", [(), ("--mutant", "compare_lost")])
def test_no_process_of_a_run_imports_a_module_of_the_working_directory(
    environment: Environment, tmp_path: Path, more: tuple[str, ...]
) -> None:
    folder = make_hostile_folder(tmp_path / "here")
    words = ["run", "--nodes", "3", "--time-limit", "2", "--nemesis", "partition", "--no-report"]
    done = environment.run(["splitbrain", *words, "--seed", "7", *FAST_ELECTIONS, *more], folder)
    assert done.returncode == bool(more), shown(done)
    assert "is imported" not in done.stdout + done.stderr


def test_the_workers_of_a_campaign_import_no_module_of_the_project(
    environment: Environment, project: Path
) -> None:
    words = ["sim", "--runs", "2", "--workers", "2", "--seed", "7", "--time-limit", "1"]
    done = environment.run(["splitbrain", *words], project)
    assert done.returncode == 0, shown(done)
    assert not (project / IMPORTED).exists()


def test_mypy_reads_the_types_of_the_package(environment: Environment, project: Path) -> None:
    mypy = [
        str(Path(sys.executable).with_name("mypy")), "--strict",
        "--python-executable", str(environment.python), "--no-error-summary", "typed.py",
    ]  # fmt: skip
    done = subprocess.run(
        mypy, cwd=project, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
    )
    assert done.stdout.splitlines() == [
        'typed.py:5: note: Revealed type is "bool | None"',
        'typed.py:9: note: Revealed type is "str | None"',
        'typed.py:10: error: Argument "valid" to "Verdict" has incompatible type "str"; '
        'expected "bool | None"  [arg-type]',
    ]


def test_a_member_starts_from_the_wheel(environment: Environment, project: Path) -> None:
    done = environment.run(["python", "-m", "splitbrain.node", "--help"], project)
    assert done.returncode == 0, shown(done)
    assert "--initial-cluster" in done.stdout


def test_import_splitbrain_imports_no_other_package(
    environment: Environment, tmp_path: Path
) -> None:
    code = (
        "import sys; before = {*sys.modules}; import splitbrain; "
        "print(*sorted({name.split('.')[0] for name in {*sys.modules} - before}))\n"
        "print(*sorted(name for name in sys.modules if name.startswith('splitbrain')))"
    )
    done = environment.run(["python", "-S", "-c", "import site; site.main(); " + code], tmp_path)
    packages, modules = done.stdout.splitlines()
    assert modules == "splitbrain"
    assert not {"numpy", "aiohttp", "msgspec", "click", "asyncio"} & set(packages.split())
