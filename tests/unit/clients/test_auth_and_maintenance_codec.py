"""Clients write and read messages of the Auth, Cluster and Maintenance services.

The messages are in JSON and in protobuf.
"""

from __future__ import annotations

import pytest

from splitbrain.harness.clients import grpc_codec
from splitbrain.harness.clients.service_codec import decode_any, encode_any
from splitbrain.histories.auth import (
    AuthChanged,
    AuthEnable,
    Authenticate,
    AuthenticateResult,
    AuthStatus,
    AuthStatusResult,
    Permission,
    RoleGet,
    RoleGetResult,
    RoleGrantPermission,
    RoleList,
    RoleListResult,
    UserGet,
    UserGetResult,
    UserGrantRole,
    UserList,
    UserListResult,
)
from splitbrain.histories.kv import Header
from splitbrain.histories.maintenance import (
    Alarm,
    AlarmDisarm,
    AlarmDisarmResult,
    AlarmList,
    AlarmListResult,
    Defragment,
    DefragmentResult,
    MemberSize,
    MemberSizeResult,
)
from splitbrain.histories.member_list import MemberList, MemberListResult
from splitbrain.histories.member_state import ListedMember
from splitbrain.histories.service_operation import AnyRequest, AnyResult
from splitbrain.node.api.methods import BY_KEY
from splitbrain.node.api.proto.messages import message_class

HEADER = b'"header":{"revision":"9"}'
AT_9 = Header(9)
GRANT = RoleGrantPermission("r", Permission("a", "c", "WRITE"), token="t")


@pytest.mark.parametrize(
    ("request_", "path", "body"),
    [
        (Authenticate("u", "p"), "/v3/auth/authenticate", b'{"name":"u","password":"p"}'),
        (AuthEnable(token="t"), "/v3/auth/enable", b"{}"),
        (UserGrantRole("u", "r"), "/v3/auth/user/grant", b'{"user":"u","role":"r"}'),
        (GRANT, "/v3/auth/role/grant",
         b'{"name":"r","perm":{"permType":"WRITE","key":"YQ==","range_end":"Yw=="}}'),
        (AlarmList(), "/v3/maintenance/alarm", b"{}"),
        (AlarmDisarm(7), "/v3/maintenance/alarm",
         b'{"action":"DEACTIVATE","memberID":"7","alarm":"NOSPACE"}'),
        (Defragment(), "/v3/maintenance/defragment", b"{}"),
        (UserList(), "/v3/auth/user/list", b"{}"),
        (RoleList(), "/v3/auth/role/list", b"{}"),
        (MemberSize(), "/v3/maintenance/status", b"{}"),
        (MemberList(), "/v3/cluster/member/list", b'{"linearizable":true}'),
    ],
)
def test_a_request_is_written_without_its_token(
    request_: AnyRequest, path: str, body: bytes
) -> None:
    assert encode_any(request_) == (path, body)
    assert grpc_codec.encode(request_)[0] == BY_KEY[path].path


@pytest.mark.parametrize(
    ("request_", "body", "result"),
    [
        (Authenticate("u", "p"), b'{%b,"token":"t.5"}' % HEADER, AuthenticateResult(AT_9, "t.5")),
        (AuthEnable(), b"{%b}" % HEADER, AuthChanged(AT_9)),
        (AuthStatus(), b'{%b,"enabled":true,"authRevision":"4"}' % HEADER,
         AuthStatusResult(AT_9, enabled=True, revision=4)),
        (UserGet("u"), b'{%b,"roles":["r"]}' % HEADER, UserGetResult(AT_9, ("r",))),
        (UserList(), b'{%b,"users":["u","v"]}' % HEADER, UserListResult(AT_9, ("u", "v"))),
        (RoleList(), b'{%b,"roles":["r"]}' % HEADER, RoleListResult(AT_9, ("r",))),
        (RoleGet("r"),
         b'{%b,"perm":[{"key":"YQ=="},{"permType":"READWRITE","key":"Yg=="}]}' % HEADER,
         RoleGetResult(AT_9, (Permission("a"), Permission("b", "", "READWRITE")))),
        (AlarmList(), b'{%b,"alarms":[{"memberID":"7","alarm":"NOSPACE"}]}' % HEADER,
         AlarmListResult(AT_9, (Alarm(7, "NOSPACE"),))),
        (AlarmDisarm(7), b"{%b}" % HEADER, AlarmDisarmResult(AT_9)),
        (Defragment(), b"{}", DefragmentResult()),
        (MemberSize(),
         b'{%b,"version":"3.5.1","dbSize":"90","leader":"5","dbSizeInUse":"60"}' % HEADER,
         MemberSizeResult(AT_9, 90, 60)),
        (MemberList(),
         b'{%b,"members":[{"ID":"5","name":"n1","peerURLs":["b","a"]},{"ID":"6","isLearner":true}]}'
         % HEADER,
         MemberListResult(AT_9, (ListedMember(5, ("a", "b")), ListedMember(6, (), True)))),
    ],
)  # fmt: skip
def test_an_answer_is_read(request_: AnyRequest, body: bytes, result: AnyResult) -> None:
    assert decode_any(request_, body) == result


def test_an_answer_over_grpc_is_read() -> None:
    status = message_class("etcdserverpb.StatusResponse")(dbSize=90, leader=5, dbSizeInUse=60)
    size = grpc_codec.decode(MemberSize(), status.SerializeToString())
    assert size == MemberSizeResult(Header(), 90, 60)
    members = message_class("etcdserverpb.MemberListResponse")()
    members.members.add(ID=5, name="n1", peerURLs=["a"], isLearner=True)
    read = grpc_codec.decode(MemberList(), members.SerializeToString())
    assert read == MemberListResult(Header(), (ListedMember(5, ("a",), is_learner=True),))
    alarms = message_class("etcdserverpb.AlarmResponse")()
    alarms.alarms.add(memberID=7, alarm=1)
    listed = grpc_codec.decode(AlarmList(), alarms.SerializeToString())
    assert listed == AlarmListResult(Header(), (Alarm(7, "NOSPACE"),))
