"""A network that a system or a machine cannot have is refused before the run."""

from __future__ import annotations

import pytest

from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.options import read_options
from splitbrain.harness.schedule.text import parse_schedule
from splitbrain.harness.systems import schedule_support
from splitbrain.harness.systems.factory import capabilities_of
from splitbrain.harness.systems.schedule_support import refuse_unsupported
from tests.unit.systems.test_local_processes import Toy

NAMESPACES = {"network": "namespaces", "seed": 1, "nodes": [3], "nemesis": []}


def test_what_cannot_be_in_namespaces_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_support, "missing", lambda: "")
    with pytest.raises(BadArguments, match="with the system simulated"):
        read_options({**NAMESPACES, "system": "simulated"})
    refuse_unsupported(draw_schedule(read_options(NAMESPACES)))
    own = read_options({**NAMESPACES, "system": "tests.unit.fake_store:FakeSystem"})
    with pytest.raises(BadArguments, match="cannot be in network namespaces"):
        refuse_unsupported(draw_schedule(own))
    monkeypatch.setattr(schedule_support, "missing", lambda: "this machine is too small")
    with pytest.raises(BadArguments, match="--network namespaces: this machine is too small"):
        refuse_unsupported(draw_schedule(read_options(NAMESPACES)))


def test_links_to_clients_need_namespaces() -> None:
    schedule = parse_schedule(
        'seed 1\nmembers n1\noption system "python_node"\n'
        '1 ms  partition n1 {"shape":"clients"} until 9 ms\nlasts 10 ms\n'
    )
    with pytest.raises(BadArguments, match="needs --network namespaces"):
        refuse_unsupported(schedule)


def test_a_class_without_proxies_has_faults_of_links_in_namespaces() -> None:
    name = f"{Toy.__module__}:{Toy.__qualname__}"
    on_loopback = read_options({"system": name, "nemesis": []})
    assert "partition" not in capabilities_of(on_loopback)
    assert {"partition", "corruption"} <= capabilities_of(
        read_options({**NAMESPACES, "system": name})
    )
