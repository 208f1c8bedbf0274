"""Bug: clearing the alarm of one member also clears the alarms of the others."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.alarms import Alarms
from splitbrain.node.messages.rpc import AlarmAction, AlarmRequest, AlarmResponse

MUTANT = Mutant(
    what="clearing the alarm of one member clears the alarms of all members",
    source="etcd's rpc.proto, AlarmRequest.memberID",
    found_by=("limits",),
    hunt={"workload": "limits", "workload_options": {"quota_kib": 128}},
)


def plant() -> None:
    original = Alarms.apply

    def apply(self: Alarms, request: AlarmRequest) -> AlarmResponse:
        if request.action == AlarmAction.DEACTIVATE:
            for one in self.raised(request.alarm):
                if one.member_id != request.member_id:
                    original(self, AlarmRequest(AlarmAction.DEACTIVATE, one.member_id, one.alarm))
        return original(self, request)

    Alarms.apply = apply  # type: ignore[method-assign]
