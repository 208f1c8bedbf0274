"""The page of licences and the locks name every package that an installation contains.

`SPLITBRAIN_REWRITE=1 python -m pytest tests/packaging/test_licences.py` renews the page, and
`make locks` renews the locks.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib

import pytest

from tests.packaging.build import ROOT
from tests.packaging.licences import HEAD, closure, pins, table

PAGE = ROOT / "docs" / "reference" / "licences.md"
UNCLEAR = ("UNKNOWN", "Proprietary", "Commercial")
PYTHONS = ("3.11", "3.12", "3.13")


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="3.11 needs the most packages")
def test_the_page_lists_the_licence_of_every_package_in_the_lock() -> None:
    introduction, _, _ = PAGE.read_text().partition(HEAD)
    expected = introduction + table()
    if os.environ.get("SPLITBRAIN_REWRITE"):
        PAGE.write_text(expected)
    assert PAGE.read_text() == expected
    assert not [name for name in UNCLEAR if name in expected]


def test_the_lock_contains_every_package_of_the_development_environment() -> None:
    assert closure(["dev"]) - pins().keys() == set()


@pytest.mark.parametrize("python", PYTHONS)
def test_a_lock_with_hashes_has_the_versions_of_the_plain_lock(python: str) -> None:
    text = (ROOT / "locks" / f"python-{python}.txt").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))
    plain = pins()
    assert {name: plain.get(name) for name in locked} == locked, "renew it: make locks"
    _, *entries = re.split(r"^(?=\w)", text, flags=re.MULTILINE)
    assert len(entries) == len(locked)
    assert [one for one in entries if "--hash=sha256:" not in one] == []


@pytest.mark.parametrize("python", PYTHONS)
def test_a_lock_contains_every_declared_dependency(python: str) -> None:
    text = (ROOT / "locks" / f"python-{python}.txt").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {
        re.split(r"[\[<>=]", one)[0].lower()
        for one in [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    } - {"splitbrain"}
    assert [name for name in declared if f"\n{name}==" not in text] == [], "renew it: make locks"
