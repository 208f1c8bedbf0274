"""The options of a run: from the command line, the project's file, and the defaults."""

from pathlib import Path
from typing import Any

import pytest

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.command_line import run_line
from splitbrain.harness.schedule.options import Options, read_options


def project(tmp_path: Path, text: str) -> Path:
    (tmp_path / "pyproject.toml").write_text(text)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    return below


def test_the_command_line_overrides_the_project_which_overrides_the_defaults(
    tmp_path: Path
) -> None:
    folder = project(tmp_path, '[tool.splitbrain]\nrate = 50\nclients = 3\ntime-limit = 5\n')
    options = read_options({"clients": 4}, folder)
    assert (options.rate, options.clients, options.time_limit_s) == (50.0, 4, 5.0)
    assert options.workload == Options().workload


def test_lists_may_be_written_with_commas(tmp_path: Path) -> None:
    folder = project(
        tmp_path,
        '[tool.splitbrain]\nnemesis = "kill,pause"\nnodes = "1,3"\nknown = "etcd-18667, all"\n',
    )
    options = read_options({}, folder)
    assert (options.nemesis, options.nodes) == (("kill", "pause"), (1, 3))
    assert options.known == ("etcd-18667", "all")


@pytest.mark.parametrize(("given", "nemesis", "nodes"), [
    ({"nemesis": ["none"], "nodes": [3]}, (), (3,)),
    ({"nemesis": "none", "nodes": 3}, (), (3,)),
    ({"nemesis": "kill,pause", "nodes": "1,3"}, ("kill", "pause"), (1, 3)),
    ({"nemesis": ("all",), "nodes": ()}, ("kill", "pause", "partition", "latency"), ()),
])
def test_a_caller_may_write_lists_as_on_the_command_line(
    tmp_path: Path, given: dict[str, Any], nemesis: tuple[str, ...], nodes: tuple[int, ...]
) -> None:
    options = read_options(given, tmp_path)
    assert (options.nemesis, options.nodes) == (nemesis, nodes)


@pytest.mark.parametrize(("text", "message"), [
    ("[tool.splitbrain]\nworklod = 'kv'\n", "did you mean workload"),
    ("[tool.splitbrain]\nzzz = 1\n", "expected one of system"),
    ("[tool.splitbrain]\nrate = 'fast'\n", "wrong type"),
    ("[tool.splitbrain\n", "cannot be read"),
])
def test_a_wrong_table_of_the_project_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadArguments, match=message):
        read_options({}, project(tmp_path, text))


@pytest.mark.parametrize(("given", "message"), [
    ({"clients": 0}, "expected at least 1"),
    ({"rate": 0}, "above 0"),
    ({"time_limit_s": float("inf")}, "above 0"),
    ({"follower_share": 1.5}, "expected 0 to 1"),
    ({"bound_share": -0.1}, "expected 0 to 1"),
    ({"known": ["etcd-1"]}, "no known bug 'etcd-1'"),
    ({"nodes": [0]}, "expected 1 to 9"),
    ({"nemesis": ["kil"]}, "kil"),
    ({"election_ms": 100}, "at least 5 heartbeats"),
    ({"rate": 1e6, "time_limit_s": 3600}, "a schedule has at most"),
    ({"mutant": "no_such_bug"}, "no mutant 'no_such_bug'"),
    ({"sed": 1}, "did you mean seed"),
])
def test_an_impossible_value_is_refused_with_a_reason(
    tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadArguments, match=message):
        read_options(given, tmp_path)


def test_the_command_of_a_run_contains_the_options_that_are_not_default() -> None:
    options = Options(system="etcd", nemesis=(), nodes=(3,), trace=False, time_limit_s=7.5,
                      workload_options={"keys": 2}, store="elsewhere",
                      known=("etcd-18667", "etcd-15220"))
    assert run_line(options, 9) == (
        "splitbrain run --system etcd -o keys=2 --nemesis none --nodes 3 --time-limit 7.5 "
        "--known etcd-18667,etcd-15220 --no-trace --seed 9"
    )


def test_the_client_grpc_is_a_carrier_and_its_command_line_names_it(tmp_path: Path) -> None:
    options = read_options({"client": "grpc"}, tmp_path)
    assert (options.client, options.carrier) == ("", "grpc")
    assert "--client grpc" in run_line(options, 1)
    assert read_options({"client": "json"}, tmp_path) == read_options({}, tmp_path)
    with pytest.raises(BadArguments, match="--client grpc with the system simulated"):
        read_options({"client": "grpc", "system": "simulated"}, tmp_path)
