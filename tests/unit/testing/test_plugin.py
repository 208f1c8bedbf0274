"""The pytest plugin works in a user's project. Each test runs pytest in its own folder."""

import json
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[3]

CONFTEST = """
import splitbrain.harness.judging.judge
from splitbrain.checkers.verdict import Anomaly, Verdict

def judged(evidence):
    if evidence.workload == "set":
        return Verdict("strict", False, (Anomaly("lost", "3.7 is not there"),))
    return Verdict("strict", True)

splitbrain.harness.judging.judge.checkers_of = lambda options, names=(): {"strict": judged}

# The report itself has tests of its own, and takes seconds to import.
import splitbrain.harness.report.write_report

def write(folder):
    (folder / "report.html").write_text("a report")
    return folder / "report.html"

splitbrain.harness.report.write_report.write_report = write
"""

FAKE = "tests.unit.fake_store:FakeSystem"


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(CONFTEST)
    pytester.makepyprojecttoml(
        f'[tool.splitbrain]\nsystem = "{FAKE}"\nnemesis = "none"\nnodes = 3\nrate = 50\n'
    )
    return pytester


def plugin() -> tuple[str, ...]:
    """The arguments that load the plugin, if it is not installed."""
    installed = any(point.name == "splitbrain" for point in entry_points(group="pytest11"))
    return () if installed else ("-p", "splitbrain.harness.testing.plugin")


def run_tests(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return project.runpytest_subprocess(
        *plugin(), "-p", "no:cacheprovider", "--splitbrain-time-limit", "0.2", *arguments
    )


def test_a_valid_run_passes_and_leaves_a_report_and_an_index(project: pytest.Pytester) -> None:
    project.makepyfile("""
        def test_it_holds(splitbrain_run):
            result = splitbrain_run(workload="register")
            assert result.valid and result.report.is_file()
    """)
    result = run_tests(project, "--junitxml=junit.xml", "--splitbrain-seed", "5")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["splitbrain: first seed 5*", "*index: store/index.html"])
    assert 'name="splitbrain_report"' in (project.path / "junit.xml").read_text()
    assert (project.path / "store" / "index.html").is_file()


def test_an_invalid_run_fails_with_its_anomaly_its_report_and_the_command_that_repeats_it(
    project: pytest.Pytester,
) -> None:
    project.makepyfile("""
        def test_it_holds(splitbrain_run):
            splitbrain_run(workload="set")
    """)
    result = run_tests(project, "--splitbrain-seed", "77")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([
        "*the run is invalid", "*strict: INVALID: lost: 3.7 is not there", "*report: */report.html",
        f"*reproduce: splitbrain run --system {FAKE} --workload set *--seed 77*",
    ])


def test_saved_seeds_of_the_workload_run_before_the_drawn_ones(
    project: pytest.Pytester,
) -> None:
    corpus = project.mkdir("corpus")
    for name, workload in (("b", "kv"), ("a", "kv"), ("other", "register")):
        saved = {"seed": 1234, "workload": workload, "why": "it once lost a write", "clients": 2}
        (corpus / f"{name}.json").write_text(json.dumps(saved))
    project.makeini("[pytest]\nsplitbrain_corpus = corpus\n")
    project.makepyfile("""
        import pytest

        @pytest.mark.splitbrain(workload="kv")
        def test_it_holds(splitbrain_run, splitbrain_seed):
            result = splitbrain_run()
            print("ran", result.results.reproduce)
    """)
    result = run_tests(project, "-v", "-s", "--splitbrain-seed", "40", "--splitbrain-runs", "2")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines([
        "*saved-a* ran *--clients 2*--seed 1234", "*saved-b*", "*seed-40* ran *--seed 40",
        "*seed-41*",
    ])
    result.stdout.no_fnmatch_line("*saved-other*")


def test_known_bugs_are_named_by_the_project_the_mark_or_the_command_line(
    project: pytest.Pytester,
) -> None:
    project.makepyprojecttoml(
        f'[tool.splitbrain]\nsystem = "{FAKE}"\nnemesis = "none"\nnodes = 3\nknown = "all"\n'
    )
    project.makepyfile("""
        import pytest

        def test_of_the_project(splitbrain_run):
            print(splitbrain_run().results.reproduce)

        @pytest.mark.splitbrain(known=["etcd-18667"])
        def test_with_a_mark(splitbrain_run):
            print(splitbrain_run().results.reproduce)
    """)
    run_tests(project, "-s").stdout.fnmatch_lines(["*--known etcd-18667 *"])
    result = run_tests(project, "-s", "--splitbrain-known", "etcd-15220")
    assert result.stdout.str().count("--known etcd-15220 ") == 2
    result = run_tests(project, "--splitbrain-known", "etcd-1")
    result.stdout.fnmatch_lines(["*no known bug 'etcd-1'*"])


def test_a_broken_file_of_the_corpus_is_one_line_with_its_name_and_the_field(
    project: pytest.Pytester,
) -> None:
    (project.mkdir("histories") / "corpus").mkdir()
    (project.path / "histories" / "corpus" / "x.json").write_text('{"seed": 4}')
    project.makepyfile("def test_it_holds(splitbrain_run): pass")
    result = run_tests(project)
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*x.json has no field 'why'*"])
    text = result.stdout.str() + result.stderr.str()
    assert "corpus.py" not in text
    assert "Traceback" not in text


def test_workers_share_a_store_and_the_first_seed(project: pytest.Pytester) -> None:
    project.makepyfile("""
        def test_it_holds(splitbrain_run):
            splitbrain_run(workload="register")
    """)
    result = run_tests(project, "-n", "2", "--splitbrain-runs", "4")
    result.assert_outcomes(passed=4)
    runs = list((project.path / "store").glob("*/*/results.json"))
    assert len(runs) == 4
    result.stdout.fnmatch_lines(["*4 runs with a report", "*index: store/index.html"])


def test_a_cluster_is_started_for_a_test_and_stopped_after_it(project: pytest.Pytester) -> None:
    project.makepyfile("""
        from splitbrain.histories.kv import Put, Range
        kept = []

        def test_it_serves(splitbrain_cluster):
            one, two, three = splitbrain_cluster.members
            assert splitbrain_cluster.call(one, Put("a", "1")).outcome == "ok"
            splitbrain_cluster.kill(two)
            assert splitbrain_cluster.call(two, Range("a")).outcome == "fail"
            splitbrain_cluster.restart(two)
            read = splitbrain_cluster.call(two, Range("a"))
            assert read.result.kvs[0].value == "1"
            assert splitbrain_cluster.run(splitbrain_cluster.system.leader()) == one
            kept.append(splitbrain_cluster.system)

        def test_it_is_stopped():
            assert kept[0].stopped and not kept[0].alive("n1")
    """)
    run_tests(project).assert_outcomes(passed=2)


def test_wrong_options_are_reported(project: pytest.Pytester) -> None:
    project.makepyfile("def test_it_holds(splitbrain_run): splitbrain_run(worklod='kv')")
    result = run_tests(project)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*did you mean workload*"])
    assert run_tests(project, "--splitbrain-runs", "0").ret == pytest.ExitCode.USAGE_ERROR


SCHEDULE = """
seed 1
members n1
option quiet_timeout_ms 2000
1 ms  client 0  put on n1  {"op":"put","key":"r0.0","value":"0.1"}
lasts 50 ms
"""


def test_a_schedule_is_run_from_its_file_and_errors_are_one_line(
    project: pytest.Pytester,
) -> None:
    (project.path / "found.schedule").write_text(SCHEDULE)
    (project.path / "wrong.schedule").write_text(SCHEDULE + "kill everybody\n")
    project.makepyfile("""
        from pathlib import Path
        import pytest

        def test_a_file(splitbrain_schedule):
            assert splitbrain_schedule(Path("found.schedule")).valid is True

        def test_a_wrong_one(splitbrain_schedule):
            splitbrain_schedule(Path("wrong.schedule"))

        def test_a_wrong_fault(splitbrain_run):
            splitbrain_run(nemesis=["kil"])

        @pytest.mark.splitbrain(system="simulated", nemesis=[])
        def test_a_simulated_cluster(splitbrain_cluster):
            raise AssertionError("it was not skipped")
    """)
    result = run_tests(project, "-rs")
    result.assert_outcomes(passed=1, failed=2, skipped=1)
    output = result.stdout.str()
    assert "Traceback" not in output
    assert "plugin.py" not in output
    assert output.count("'kill everybody': not understood") == 1
    assert output.count("no fault is called 'kil'") == 1
    assert "splitbrain_cluster starts real processes" in output


def test_the_same_set_up_error_is_printed_once(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import pytest

        @pytest.mark.splitbrain(system="etcd")
        @pytest.mark.parametrize("number", range(3))
        def test_it_serves(splitbrain_cluster, number):
            raise AssertionError("it was not refused")
    """)
    project.makepyprojecttoml('[tool.splitbrain]\netcd_binary = "/does/not/exist/etcd"\n')
    result = run_tests(project, "-rN")
    result.assert_outcomes(errors=3)
    text = result.stdout.str()
    assert "Traceback" not in text
    assert text.count("as in test_the_same_set_up_error_is_printed_once.py") == 2


def test_a_failing_test_shows_the_folder_and_the_logs_of_its_cluster(
    project: pytest.Pytester,
) -> None:
    project.makepyfile("""
        def test_it_serves(splitbrain_cluster):
            splitbrain_cluster.system.log_path("n1").parent.mkdir(parents=True, exist_ok=True)
            splitbrain_cluster.system.log_path("n1").write_text("first\\nthe last words\\n")
            assert splitbrain_cluster.members == []
    """)
    result = run_tests(project)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*splitbrain cluster*", "folder: */store/*", "*the last words"])


def test_the_failed_seeds_run_again_with_lf(project: pytest.Pytester) -> None:
    project.makepyfile("""
        def test_it_is_even(splitbrain_seed):
            assert splitbrain_seed % 2 == 0
    """)
    first = project.runpytest_subprocess("--splitbrain-runs", "4", *plugin())
    first.assert_outcomes(passed=2, failed=2)
    again = project.runpytest_subprocess("--lf", "-v", *plugin())
    again.assert_outcomes(failed=2)
    failed = [line.split()[1] for line in first.outlines if line.startswith("FAILED")]
    assert [line.split()[1] for line in again.outlines if line.startswith("FAILED")] == failed


def test_a_saved_schedule_and_a_saved_repro_run_first(project: pytest.Pytester) -> None:
    corpus = project.mkdir("histories") / "corpus"
    corpus.mkdir()
    (corpus / "found.schedule").write_text(SCHEDULE + 'option workload "kv"\n')
    repro = {
        "seed": 9, "options": {
            "system": FAKE, "workload": "kv", "rate": 60.0, "nemesis": [], "nodes": [3],
            "time_limit_s": 0.3,
        }, "versions": {},
        "command": "splitbrain run --seed 9", "format": 1,
    }
    (corpus / "repro.json").write_text(json.dumps(repro))
    project.makepyfile("""
        import pytest

        @pytest.mark.splitbrain(workload="kv", system="simulated")
        def test_simulated(splitbrain_run, splitbrain_seed):
            result = splitbrain_run()
            print("ran", len(result.results.operations), result.digest[:6])

        @pytest.mark.splitbrain(workload="kv")
        def test_processes(splitbrain_run, splitbrain_seed):
            assert "--seed" in splitbrain_run().results.reproduce
    """)
    result = run_tests(project, "-v", "--splitbrain-seed", "40")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines([
        "*test_simulated?saved-found.schedule*", "*test_simulated?seed-40*",
        "*test_processes?saved-repro*", "*test_processes?seed-40*",
    ])
