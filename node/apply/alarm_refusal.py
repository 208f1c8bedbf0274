"""Refuses committed requests while an alarm is raised.

The decision depends only on replicated state. All members therefore decide in the same way.

Source: etcd's `applierV3Capped` and `applierV3Corrupt`.
"""

from __future__ import annotations

from splitbrain.node.alarms import Alarms
from splitbrain.node.messages import errors
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.internal_request import Operation
from splitbrain.node.messages.lease import LeaseCheckpointRequest
from splitbrain.node.messages.rpc import AlarmRequest, AlarmType
from splitbrain.node.messages.space_cost import space_cost


def refusal(request: Operation, alarms: Alarms) -> RpcError | None:
    """Return the error with which `request` is refused, or None if it may be applied.

    While a CORRUPT alarm is raised, only requests about alarms and lease checkpoints are applied.
    While a NOSPACE alarm is raised, requests that need space are refused.
    """
    if isinstance(request, AlarmRequest | LeaseCheckpointRequest):
        return None
    if alarms.is_raised(AlarmType.CORRUPT):
        return errors.corrupt()
    if alarms.is_raised(AlarmType.NOSPACE) and space_cost(request):
        return errors.no_space()
    return None
