"""Runs are saved in the corpus and read again, and wrong files give a clear error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from splitbrain.harness.cli.main import run_main
from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.failures.corpus import add_to_corpus, read_corpus, read_saved_run
from splitbrain.harness.schedule.options import read_options
from splitbrain.harness.schedule.schedule import Schedule, fixed, with_changes
from splitbrain.harness.testing.cluster import options_of_case

SIM = ["--time-limit", "0.5", "--rate", "40", "--nodes", "1", "--nemesis", "none"]


def drawn(**options: object) -> Schedule:
    return draw_schedule(read_options({
        "system": "simulated", "workload": "kv", "seed": 5, "nodes": (1,), "time_limit_s": 1.0,
        "nemesis": (), **options,
    }))


@pytest.mark.parametrize(("text", "message"), [
    ('{"why": "it lost a write"}', "has no field 'seed'"),
    ('{"seed": 4}', "has no field 'why'"),
    ('{"seed": "4", "why": "x"}', "seed = '4': expected a number"),
    ('{"seed": 4, "why": "x", "worklod": "kv"}', "did you mean workload"),
    ("[1]", "expected a JSON object"),
    ("{", "is not a saved run"),
    ('{"seed": 4, "options": {}, "versions": {}}', "has format 0; this Splitbrain reads format 1"),
    ('{"seed": 4, "options": {"rate": "x"}, "versions": {}, "format": 1}', "is not a repro.json"),
])
def test_a_file_that_is_not_a_saved_run_is_refused_with_its_name(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(BadArguments, match=r"x\.json") as refused:
        read_corpus(tmp_path)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_drawn_run_is_saved_as_a_seed_and_as_a_schedule(tmp_path: Path) -> None:
    schedule = drawn()
    files = add_to_corpus(schedule, tmp_path, "found", "a put was lost")
    assert [path.name for path in files] == ["found.json", "found.schedule"]
    seed, text = read_corpus(tmp_path)
    assert (seed.seed, seed.why, seed.options["workload"]) == (5, "a put was lost", "kv")
    again = draw_schedule(read_options({**seed.options, "seed": seed.seed}))
    assert fixed(again) == fixed(schedule)
    assert text.schedule == fixed(schedule)
    with pytest.raises(BadArguments, match="exists already"):
        add_to_corpus(schedule, tmp_path, "found", "again")


def test_a_run_that_no_seed_gives_is_saved_as_a_schedule_alone(tmp_path: Path) -> None:
    schedule = with_changes(drawn(), time_limit_ms=400)
    (file,) = add_to_corpus(schedule, tmp_path, "small", "a put was lost")
    assert file.name == "small.schedule"
    assert "\n# a put was lost\n" in file.read_text()
    assert read_saved_run(file).schedule == schedule


def test_a_repro_of_a_run_is_a_saved_run(tmp_path: Path) -> None:
    assert run_main(["sim", *SIM, "--seed", "7", "--store", str(tmp_path), "--no-report"]) == 0
    saved = read_saved_run((tmp_path / "latest" / "repro.json").resolve())
    assert (saved.seed, saved.options["system"], saved.options["rate"]) == (7, "simulated", 40.0)


def test_the_command_saves_a_run_and_prints_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_main(["sim", *SIM, "--seed", "7", "--no-report"]) == 0
    capsys.readouterr()
    assert run_main(["corpus", "add", "store/latest", "--why", "it was slow"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 2
    (seed,) = Path("histories/corpus").glob("*.json")
    assert json.loads(seed.read_text())["why"] == "it was slow"
    assert run_main(["corpus", "add", "store/latest"]) == 254
    assert run_main(["corpus", "add", "store"]) == 254


@pytest.mark.parametrize("options", [
    {"system": "python_node", "workload": "register", "time_limit_s": 30.0},
    {"system": "python_node", "mutant": "wal_not_synced", "nemesis": ("kill", "pause")},
    {"system": "simulated", "mutant": "compare_lost", "time_limit_s": 30.0, "nodes": ()},
])
def test_a_saved_seed_gives_the_same_schedule_whatever_the_tests_own_options_are(
    tmp_path: Path, options: dict[str, object]
) -> None:
    schedule = drawn(**{"rate": 20.0, "clients": 2, "seed": 3, **options})
    add_to_corpus(schedule, tmp_path, "found", "a put\nwas lost")
    saved = next(one for one in read_corpus(tmp_path) if one.schedule is None)
    base = {"time_limit_s": 10.0, "rate": 77.0, "nemesis": ("kill",), "heartbeat_ms": 20}
    again = draw_schedule(options_of_case(base, saved, {}))
    assert fixed(again) == fixed(schedule)


def test_a_name_with_a_folder_in_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadArguments, match="--name"):
        add_to_corpus(drawn(), tmp_path / "corpus", "../found", "a put was lost")
    assert not (tmp_path / "found.json").exists()
