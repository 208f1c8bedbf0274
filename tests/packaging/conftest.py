"""Provides the archives and the environment. Each xdist group of this folder builds them once."""

from __future__ import annotations

import pytest

from tests.packaging.build import Archives, Environment, build_archives, make_environment


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Archives:
    return build_archives(tmp_path_factory.mktemp("archives"))


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory, archives: Archives) -> Environment:
    """With the wheel that was built from the sdist."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    return make_environment(folder, archives.wheel_of_sdist)
