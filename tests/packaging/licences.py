"""Reads the licences of all packages in requirements.lock, by pip-licenses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.packaging.build import PROJECT, ROOT, applies

LOCK = ROOT / "requirements.lock"
HEAD = "| package | licence | needed by |\n|---|---|---|\n"
NOT_INSTALLED = {"async-timeout": "Apache Software License"}
"""The packages that only CPython 3.11.0 to 3.11.2 needs."""


def pins() -> dict[str, str]:
    """Normalised name → version, of each package in requirements.lock."""
    lines = re.findall(r"^([\w.-]+)==(\S+)$", LOCK.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


def table() -> str:
    """The rows of the page, one for each package."""
    command = [sys.executable, "-m", "piplicenses", "--format=json", "--with-system"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    licences = json.loads(done.stdout)
    found: dict[str, dict[str, str]] = {canonicalize_name(one["Name"]): one for one in licences}
    needed = {extra: closure([extra]) for extra in ["", *sorted(extras())]}
    rows = [
        f"| {name} | {found[name]['License'] if name in found else NOT_INSTALLED[name]} "
        f"| {who(name, needed)} |\n"
        for name in sorted(pins())
    ]
    return HEAD + "".join(rows)


def extras() -> set[str]:
    """The extras for users."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {*project["optional-dependencies"]} - {"dev"}


def who(name: str, needed: Mapping[str, set[str]]) -> str:
    """Which installation contains the package: the plain one, extras, or only development."""
    if name in needed[""]:
        return "every installation"
    found = [f"extra `{extra}`" for extra, names in needed.items() if name in names]
    return ", ".join(found) or "development"


def declared(name: str, extras: Iterable[str]) -> list[str]:
    """What the package `name` requires; of this project by pyproject.toml, not as installed."""
    if name == PROJECT:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        of_extras = [project["optional-dependencies"][extra] for extra in extras if extra]
        return [one for requirements in (project["dependencies"], *of_extras)
                for one in requirements]
    try:
        return list(distribution(name).requires or ())
    except PackageNotFoundError as problem:
        raise AssertionError(f"{name} is not installed: make .venv/.ready") from problem


def closure(extras: Iterable[str]) -> set[str]:
    """The normalised names of the packages that an installation with `extras` contains."""
    seen: set[str] = set()
    waiting = [Requirement(f"{PROJECT}[{','.join(extras)}]")]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = f"{name}{sorted(requirement.extras)}"
        if key in seen:
            continue
        seen.add(key)
        needed = map(Requirement, declared(name, requirement.extras))
        waiting += [one for one in needed if applies(one, requirement.extras)]
    return {key.partition("[")[0] for key in seen} - {PROJECT}
