"""Clients write and read messages of the Lease, Lock and Election services in etcd's JSON."""

from __future__ import annotations

import pytest

from splitbrain.harness.clients.service_codec import decode_any, encode_any
from splitbrain.harness.drawing.schedule_drawing import draw_for
from splitbrain.harness.drive.last_seen import LastSeen
from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.workloads.catalogue import make_workload
from splitbrain.histories.kv import Header, KeyValue, Put, PutResult
from splitbrain.histories.lease import (
    LeaseGrant,
    LeaseGrantResult,
    LeaseKeepAlive,
    LeaseKeepAliveResult,
    LeaseRevoke,
    LeaseRevokeResult,
    LeaseTimeToLive,
    LeaseTimeToLiveResult,
)
from splitbrain.histories.lock_and_election import (
    Campaign,
    CampaignResult,
    Leader,
    LeaderResult,
    Lock,
    LockResult,
    Proclaim,
    Resign,
    Unlock,
)
from splitbrain.histories.service_operation import AnyRequest, AnyResult

HEADER = b'"header":{"revision":"9","raft_term":"2"}'
AT_9 = Header(9, raft_term=2)


@pytest.mark.parametrize(
    ("request_", "path", "body"),
    [
        (LeaseGrant(7, 5), "/v3/lease/grant", b'{"ID":"7","TTL":"5"}'),
        (LeaseRevoke(7), "/v3/lease/revoke", b'{"ID":"7"}'),
        (LeaseKeepAlive(7), "/v3/lease/keepalive", b'{"ID":"7"}'),
        (LeaseTimeToLive(7, True), "/v3/lease/timetolive", b'{"ID":"7","keys":true}'),
        (Lock("a", 7), "/v3/lock/lock", b'{"name":"YQ==","lease":"7"}'),
        (Unlock("a/7"), "/v3/lock/unlock", b'{"key":"YS83"}'),
        (Campaign("a", 7, "b"), "/v3/election/campaign",
         b'{"name":"YQ==","lease":"7","value":"Yg=="}'),
        (Proclaim("a", "a/7", 7, 3, "b"), "/v3/election/proclaim",
         b'{"leader":{"name":"YQ==","key":"YS83","rev":"3","lease":"7"},"value":"Yg=="}'),
        (Resign("a", "a/7", 7, 3), "/v3/election/resign",
         b'{"leader":{"name":"YQ==","key":"YS83","rev":"3","lease":"7"}}'),
        (Leader("a"), "/v3/election/leader", b'{"name":"YQ=="}'),
        (Put("a", "b"), "/v3/kv/put", b'{"key":"YQ==","value":"Yg=="}'),
    ],
)
def test_a_request_is_written(request_: AnyRequest, path: str, body: bytes) -> None:
    assert encode_any(request_) == (path, body)


@pytest.mark.parametrize(
    ("request_", "body", "result"),
    [
        (LeaseGrant(7, 5), b'{%b,"ID":"7","TTL":"5"}', LeaseGrantResult(AT_9, 7, 5)),
        (LeaseRevoke(7), b"{%b}", LeaseRevokeResult(AT_9)),
        (LeaseKeepAlive(7), b'{"result":{%b,"ID":"7","TTL":"5"}}\n',
         LeaseKeepAliveResult(AT_9, 7, 5)),
        (LeaseKeepAlive(7), b'{"result":{%b,"ID":"7"}}\n', LeaseKeepAliveResult(AT_9, 7, 0)),
        (LeaseTimeToLive(7, True), b'{%b,"ID":"7","TTL":"4","grantedTTL":"5","keys":["YQ=="]}',
         LeaseTimeToLiveResult(AT_9, 7, 4, 5, ("a",))),
        (Lock("a", 7), b'{%b,"key":"YS83"}', LockResult(AT_9, "a/7")),
        (Campaign("a", 7), b'{%b,"leader":{"name":"YQ==","key":"YS83","rev":"3","lease":"7"}}',
         CampaignResult(AT_9, "a/7", 3, 7)),
        (Leader("a"), b'{%b,"kv":{"key":"YS83","value":"Yg==","mod_revision":"3"}}',
         LeaderResult(AT_9, KeyValue("a/7", "b", mod_revision=3))),
        (Put("a", "b"), b"{%b}", PutResult(AT_9)),
    ],
)
def test_an_answer_is_read(request_: AnyRequest, body: bytes, result: AnyResult) -> None:
    assert decode_any(request_, body % HEADER) == result


def test_a_leader_sends_the_revision_at_which_it_was_elected() -> None:
    seen = LastSeen()
    proclaim = ScheduledOperation(0, "proclaim", Proclaim("a", "a/7", 7, value="b"), 0)
    assert seen.request(proclaim) == Proclaim("a", "a/7", 7, 0, "b")
    seen.observe(Campaign("a", 7), CampaignResult(AT_9, "a/7", 3, 7))
    assert seen.request(proclaim) == Proclaim("a", "a/7", 7, 3, "b")


def test_a_write_under_a_lock_is_not_sent_without_the_lock() -> None:
    options = Options(system="etcd", workload="lock", time_limit_s=5, nodes=(3,))
    plan = draw_for(options, make_workload("lock", {}))
    needing = {
        operation.f for client in plan.clients for operation in client.operations
        if operation.after_ok
    }
    assert needing == {"lock", "get", "write", "unlock"}
