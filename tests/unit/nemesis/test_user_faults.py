"""A user can add faults by dotted path, and gets a clear error for a mistake."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from random import Random

import pytest

from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.runs.execute import execute
from splitbrain.harness.schedule import options as schedule_options
from splitbrain.harness.schedule.options import Options, parse_list, read_options
from splitbrain.harness.schedule.text import as_text, parse_schedule
from splitbrain.harness.systems.schedule_support import refuse_unsupported
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import UserFault
from splitbrain.nemesis.injection.all_injectors import inject
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "howto" / "write-a-fault.md"
SIMPLE = """
log = []
class Mine:
    def inject(self, system, members): log.append(("inject", members))
    async def heal(self, system, members): log.append(("heal", members))
class Fails(Mine):
    def inject(self, system, members): raise RuntimeError("it broke")
class NoHeal:
    def inject(self, system, members): ...
class Needy(Mine):
    from splitbrain.nemesis.capabilities import Powered as needs
class Fielded(Mine):
    def __init__(self, size): ...
class DrawFails(Mine):
    @staticmethod
    def draw(random): return 1 / 0
A_NUMBER = 7
def wrong(random, duration_ms, members): return [7]
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a module into the working directory and returns its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(source: str) -> str:
        name = f"own_{abs(hash(source)) % 10**9}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    return write


def drawn(nemesis: str, **options: object) -> Options:
    return read_options({"nemesis": [nemesis], "seed": 5, "nodes": [3], **options})


def test_the_schedule_of_the_guide_runs_in_simulation(
    module: Callable[[str], str], tmp_path: Path
) -> None:
    source = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)[1]
    options = drawn(f"{module(source)}:in_turn", system="simulated", time_limit_s=2.0, rate=50.0,
                    store=str(tmp_path / "store"))
    schedule = draw_schedule(options)
    assert {(type(one.fault).__name__, one.fault.on) for one in schedule.faults[:2]} == {
        ("Partition", ("n1",)), ("Kill", ("n2",)),
    }
    assert parse_schedule(as_text(schedule)).faults == schedule.faults
    assert execute(schedule).results.valid


def test_the_fault_of_the_guide_confines_a_process_and_heals(module: Callable[[str], str]) -> None:
    source = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)[0]
    path = f"{module(source)}:OneProcessor"
    schedule = draw_schedule(drawn(path))
    refuse_unsupported(schedule)
    fault = schedule.faults[0].fault
    assert isinstance(fault, UserFault)
    assert parse_schedule(as_text(schedule)).faults == schedule.faults
    with subprocess.Popen(("sleep", "60")) as child:

        class This:
            members = ("n1",)

            async def leader(self) -> str:
                return "n1"

            def pid(self, member: str) -> int:
                return child.pid

        async def main() -> None:
            injected = await inject(fault, FaultsInForce(This()), Random(1))
            assert os.sched_getaffinity(child.pid) == {fault.fields["processor"]}
            assert injected.effect() == "confined n1"
            await injected.undo()
            assert os.sched_getaffinity(child.pid) == os.sched_getaffinity(0)

        try:
            asyncio.run(main())
        finally:
            child.kill()


def test_a_fault_that_fails_is_healed(module: Callable[[str], str]) -> None:
    name = module(SIMPLE)

    class Cluster:
        members = ("n1",)

        async def leader(self) -> None:
            return None

    async def main() -> None:
        in_force = FaultsInForce(Cluster())
        with pytest.raises(RuntimeError, match="it broke"):
            await inject(UserFault(path=f"{name}:Fails"), in_force, Random(1))
        assert sys.modules[name].log == [("heal", ("n1",))]
        with pytest.raises(FaultError, match="Powered"):
            await inject(UserFault(path=f"{name}:Needy"), in_force, Random(1))

    asyncio.run(main())


@pytest.mark.parametrize(("what", "said"), [
    ("Nothing", "cannot be loaded: AttributeError"),
    ("NoHeal", "has no method heal"),
    ("A_NUMBER", "expected a class or a function"),
    ("wrong", "returned 7; expected objects of splitbrain.ScheduledFault"),
    ("DrawFails", "draw failed: ZeroDivisionError"),
    ("Needy", "lacks the methods of Powered"),
    ("Fielded", "refuses its fields"),
])
def test_a_mistake_in_a_fault_is_reported_before_the_run(
    module: Callable[[str], str], what: str, said: str
) -> None:
    store = f"{module('class Store: ...')}:Store"
    system = store if what == "Needy" else "python_node"
    with pytest.raises(BadArguments) as told:
        refuse_unsupported(draw_schedule(drawn(f"{module(SIMPLE)}:{what}", system=system)))
    assert said in str(told.value)


def test_an_installed_package_offers_a_fault_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("mine", "their.faults:Mine", "splitbrain.faults")
    monkeypatch.setattr(schedule_options, "entry_points_of", lambda group: {"mine": point})
    assert parse_list("nemesis", "kill,mine") == ["kill", "their.faults:Mine"]
    with pytest.raises(BadArguments, match="no fault is called 'yours'"):
        parse_list("nemesis", "kill,yours")
