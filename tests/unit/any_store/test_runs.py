"""Runs use the user's client, processes and checkers, and refuse what does not fit together."""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pytest

from splitbrain.harness.cli.main import run_main
from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.drive import store_phases
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.runs.execute import execute, open_folder, run_sync
from splitbrain.harness.schedule.command_line import run_line
from splitbrain.harness.schedule.options import Options, read_options
from splitbrain.harness.schedule.text import as_text, parse_schedule
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.histories.history import read_events
from tests.unit.any_store.memory_store import Flaky, Registers

HERE = "tests.unit.any_store.memory_store"


def options(store: Path, **given: Any) -> Options:
    return read_options({
        "system": f"{HERE}:MemorySystem", "client": f"{HERE}:Registers", "workload": "register",
        "nemesis": [], "nodes": [3], "clients": 3, "rate": 1000.0, "time_limit_s": 0.3, "seed": 1,
        "store": str(store), **given,
    })


def test_a_process_ends_with_an_indeterminate_operation_and_its_connection_is_closed(
    tmp_path: Path
) -> None:
    Flaky.opened = Flaky.closed = 0
    result = run_sync(options(tmp_path, client=f"{HERE}:Flaky"), report=False)
    assert result.valid
    ends: dict[int, list[str]] = defaultdict(list)
    nodes: dict[int, set[str | None]] = defaultdict(set)
    for event in read_events(RunFolder(result.folder).history):
        nodes[int(event.process)].add(event.node)
        if event.type != "invoke":
            ends[int(event.process)].append(event.type)
    infos = [process for process, types in ends.items() if "info" in types]
    assert infos
    assert all(ends[process].index("info") == len(ends[process]) - 1 for process in infos)
    assert all(process + 3 in ends for process in infos[:-3])
    assert any("fail" in types[:-1] for types in ends.values())  # a refusal ends no process
    assert all(len(members) == 1 for members in nodes.values())
    assert Flaky.opened == Flaky.closed > 3


class Talkative(Registers):
    async def read(self, key: Any) -> Any:
        logging.getLogger("library").warning("reads %s", key)
        return await super().read(key)


def test_what_a_client_s_library_logs_is_in_the_folder_of_the_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    here = "tests.unit.any_store.test_runs"
    quiet, talkative = (
        run_sync(options(tmp_path, client=one), report=False)
        for one in (f"{HERE}:Registers", f"{here}:Talkative")
    )
    assert "library WARNING reads 0" in RunFolder(talkative.folder).client_log.read_text()
    assert not RunFolder(quiet.folder).client_log.exists()
    assert "reads" not in capfd.readouterr().err


def test_a_workload_that_needs_more_functions_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(BadArguments, match="no enqueue, no dequeue"):
        run_sync(options(tmp_path, workload="queue"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("given", "message"), [
    ({"client": "no_such_module:Client"}, "no_such_module"),
    ({"client": "nobody"}, "no client 'nobody'"),
    ({"client": "tests.unit.any_store.memory_store:MemorySystem"}, "not a client: it has no open"),
    ({"client_options": {"size": 3}}, "its options: bug"),
    ({"workload": "kv"}, "the workload kv with the client"),
    ({"checkers": ["linearisable"]}, "did you mean linearizable"),
    ({"checkers": [f"{HERE}:HERE"]}, "has no HERE"),
    ({"nemesis": ["kill"]}, "does not support the fault 'kill'"),
])
def test_a_wrong_option_is_refused(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadArguments, match=message):
        open_folder(draw_schedule(options(tmp_path, **given)))


@pytest.mark.parametrize("given", [
    {"system": "simulated"}, {"client": "", "client_options": {"bug": 1}},
])
def test_impossible_options_are_refused(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BadArguments):
        options(tmp_path, **given)


def test_a_checker_of_the_user_judges_the_log(tmp_path: Path) -> None:
    chosen = [f"{HERE}:read_answers_are_numbers", f"{HERE}:no_read_succeeds"]
    result = run_sync(options(tmp_path, checkers=chosen), report=False)
    verdicts = {one.checker: one.valid for one in result.results.verdicts}
    assert [verdicts[name] for name in chosen] == [True, False]
    assert verdicts["linearizable"] is True


def test_a_run_can_be_checked_again_repeated_exported_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run_sync(options(tmp_path, client_options={"bug": 1}))
    assert result.report is not None
    assert "write" in result.report.read_text()
    history = str(RunFolder(result.folder).history)
    edn = str(tmp_path / "history.edn")
    assert run_main(["check", str(result.folder), "--no-report"]) == 1
    assert run_main(["check", history]) == 1
    assert run_main(["export", str(result.folder), "-o", edn]) == 0
    assert run_main(["check", edn]) == 1
    assert f"--client {HERE}:Registers --client-option bug=1" in capsys.readouterr().out
    assert run_main(["replay", str(result.folder)]) == 1
    assert run_main(["shrink", str(result.folder)]) == 254
    assert "cannot be simulated" in capsys.readouterr().err


def test_a_schedule_with_calls_is_written_as_text_and_as_json(tmp_path: Path) -> None:
    schedule = draw_schedule(options(tmp_path, time_limit_s=0.05))
    encoded = msgspec.json.encode(schedule)
    assert msgspec.json.decode(encoded, type=type(schedule)) == schedule
    assert parse_schedule(as_text(schedule)).clients == schedule.clients


def test_the_command_line_repeats_all_options(tmp_path: Path) -> None:
    line = run_line(options(
        tmp_path, client_options={"bug": 1}, system_options={"size": 3},
        checkers=[f"{HERE}:no_read_succeeds"],
    ), 1)
    assert "--client-option bug=1 --system-option size=3" in line
    assert f"--checker {HERE}:no_read_succeeds" in line


def test_a_client_that_cannot_connect_fails_every_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_phases, "FINAL_READS_LIMIT_S", 0.0)
    result = execute(draw_schedule(options(
        tmp_path, client="tests.unit.any_store.test_runs:Unreachable", time_limit_s=0.1
    )), report=False)
    assert result.valid is not True
    assert result.results.operations["all"]["ok"] == 0
    assert result.results.operations["all"]["info"] == 0


class Unreachable(Flaky):
    setup = None  # type: ignore[assignment]

    async def open(self, member: Any) -> None:
        raise ConnectionRefusedError("nobody listens")
