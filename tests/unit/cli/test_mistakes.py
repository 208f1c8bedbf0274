"""A user's mistake gives one message that names the mistake, and exit code 254."""

import socket
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from splitbrain.harness.cli.main import run_main
from splitbrain.harness.counted import counted
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.store.run_folders import make_run_folder
from splitbrain.harness.systems.etcd_like.standalone_cluster import run_local_cluster
from splitbrain.harness.systems.processes.ports import Ports

SYSTEM = "tests.unit.any_store.memory_store:MemorySystem"
CLIENT = "tests.unit.any_store.memory_store:MemoryClient"
MISTAKES = (
    (["sim", "--workers", "99999"], "99999 is not in the range 1<=x<=256"),
    (["campaign", "--workers", "99999"], "99999 is not in the range 1<=x<=256"),
    (["campaign", "--time", "0m"], "--time 0: expected more than 0"),
    (["sim", "--seed", "9" * 30], f"--seed {'9' * 30}: expected an integer"),
    (["sim", "--runs", "0"], "--runs 0: expected 1 or more"),
    (["run", "--time-limit", "0"], "--time-limit 0: expected a number above 0"),
    (["run", "--rate", "nan"], "--rate nan: expected a number above 0"),
    (["run", "--nodes", "x"], "--nodes 'x': expected numbers of members"),
    (["run", "--follower-share", "2"], "--follower-share 2: expected 0 to 1"),
    (["run", "--system", SYSTEM, "--client", CLIENT, "--workload", "kv"],
     "the workload sends requests of etcd's API"),
    (["run", "--workload", "bank"], "the workload bank without a client"),
    (["run", "--system", SYSTEM, "--client", CLIENT, "--nemesis", "kill,pause"],
     "give, for example, --nemesis none"),
    (["run", "--election-ms", "1"], "--election-ms 1 with --heartbeat-ms 100"),
    (["run", "--client-option", "x=1"], "--client-option without a client"),
    (["run", "--system-option", "x=1"], "--system-option with the system python_node"),
    (["run", "--system", "etcd", "--system-option", "x=1"], "which has no such options"),
    (["sim", "--schedule", "notes.txt"], "notes.txt is no .schedule file"),
    (["replay", "notes.txt"], "notes.txt is no .schedule file"),
    (["replay", "empty"], "empty/schedule.json cannot be read"),
    (["node", "start", "--bogus"], "No such option '--bogus'"),
    (["node", "start", "--heartbeat-interval", "0"], "--heartbeat-interval is 0 ms"),
    (["node", "restore", "notes.txt", "--bogus"], "Usage: splitbrain node restore"),
    (["node", "restore", "notes.txt", "--data-dir", "restored"], "are not a backup"),
    (["node", "cluster", "--client-port", "70000"], "70000 is not in the range"),
    (["node", "cluster", "--client-port", "65530"], "would listen on port 65551"),
    (["node", "cluster", "--data-dir", "notes.txt"], "notes.txt/n1 cannot be made"),
    (["serve", "--port", "65536"], "65536 is not in the range"),
    (["serve", "--port", "-1"], "-1 is not in the range"),
    (["runs", "--since", "9" * 20 + "d"], f"expected at most {timedelta.max.days}d"),
    (["runs", "--since", "9999999w"], "'9999999w' is before the year 1"),
    (["runs", "--since", "yesterday"], "or a date such as 2026-11-30"),
)


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_a_mistake_is_named(
    arguments: Sequence[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("no schedule")
    (tmp_path / "empty").mkdir()
    assert run_main(arguments) == 254
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert not shown.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "notes.txt"]


def test_a_number_of_one_has_a_noun_in_the_singular() -> None:
    assert [counted(number, "run") for number in (0, 1, 1200)] == ["0 runs", "1 run", "1,200 runs"]


def test_a_former_name_of_a_list_is_accepted_and_not_offered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_main(["list", "spoils"]) == 0
    assert capsys.readouterr().out.startswith("corruptions")
    assert run_main(["list", "nope"]) == 254
    assert "spoils" not in capsys.readouterr().err


def test_a_project_option_of_a_wrong_type_is_named_as_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.splitbrain]\ntime-limit = 'long'\n")
    monkeypatch.chdir(tmp_path)
    assert run_main(["run"]) == 254
    assert "--time-limit has the wrong type: expected `float`" in capsys.readouterr().err


def test_a_local_cluster_refuses_a_port_that_is_in_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    ports = Ports()
    with socket.socket() as other:
        port = ports.take()
        other.bind(("127.0.0.1", port))
        arguments = ["node", "cluster", "--members", "1", "--client-port", str(port)]
        assert run_main([*arguments, "--data-dir", str(data)]) == 254
    ports.release()
    shown = capsys.readouterr()
    assert f"port {port} of 127.0.0.1 is in use" in shown.err
    assert not shown.out
    assert not data.exists()


def test_a_local_cluster_shows_the_log_of_a_member_that_does_not_start(tmp_path: Path) -> None:
    ports, shown = Ports(), list[str]()
    try:
        with pytest.raises(SystemFailed, match="No such option '--bogus'"):
            run_local_cluster(1, tmp_path, ports.take(), ["--bogus"], shown.append)
    finally:
        ports.release()
    assert shown == []


def test_the_folder_of_a_negative_seed_has_one_hyphen(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path, "test", -7).path
    assert folder.name.count("-") == 1
    assert folder.name.endswith("-minus7")
