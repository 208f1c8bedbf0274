"""Bug: once the alarm of one member is cleared, the alarms of the others have no effect."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.alarms import Alarms
from splitbrain.node.messages.rpc import AlarmAction, AlarmRequest, AlarmResponse

MUTANT = Mutant(
    what="once the alarm NOSPACE of one member is cleared, writes succeed although another member"
    " has raised it too",
    source="etcd's api/v3alarm/alarms.go: the alarms of a kind are a set of members",
    found_by=("limits",),
    hunt={"workload": "limits", "workload_options": {"quota_kib": 128}},
)


def plant() -> None:
    original = Alarms.apply

    def apply(self: Alarms, request: AlarmRequest) -> AlarmResponse:
        response = original(self, request)
        if request.action == AlarmAction.DEACTIVATE:
            self._kinds.pop(request.alarm, None)
        return response

    Alarms.apply = apply  # type: ignore[method-assign]
