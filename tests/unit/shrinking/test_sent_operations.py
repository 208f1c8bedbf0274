"""The operations of a recorded run are matched with the operations of its schedule."""

from __future__ import annotations

import pytest

from splitbrain.harness.drawing.schedule_drawing import draw_swarm_schedule
from splitbrain.harness.schedule.schedule import fixed
from splitbrain.harness.shrinking.failing_run import temporary_run
from splitbrain.harness.shrinking.sent_operations import sent_operations
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.histories.history import History
from splitbrain.histories.operation import Operation
from splitbrain.histories.service_operation import ServiceOperation


@pytest.mark.parametrize("workload", ["append", "register", "watch", "kv"])
def test_each_sent_operation_has_the_function_and_request_of_its_number(workload: str) -> None:
    given = {
        "system": "simulated", "workload": workload, "time_limit_s": 4.0, "rate": 40.0,
        "nemesis": ("kill", "partition"),
    }
    schedule = fixed(draw_swarm_schedule(5, given))
    with temporary_run(schedule, "statistics") as run:
        history = History.read(RunFolder(run.folder).history)
    operations: list[Operation | ServiceOperation] = [*history.operations, *history.services]
    recorded = {one.invoked: one for one in operations}
    scheduled = dict(enumerate(schedule.operations, start=1))
    sent = sent_operations(schedule, history)
    assert len(sent) > 10
    assert len({one.number for one in sent}) == len(sent)
    for one in sent:
        planned = scheduled[one.number].operation
        operation = next(recorded[event] for event in reversed(one.events) if event in recorded)
        assert operation.f == planned.f
        assert type(operation.request) is type(planned.request)
        assert one.client == operation.process % len(schedule.clients)
