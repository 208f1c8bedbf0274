"""The protobuf definitions describe every method and every field that the member serves."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from google.protobuf.descriptor import Descriptor

from splitbrain.node.api.json_codec import decode_request, encode_response
from splitbrain.node.api.methods import METHODS, Kind, Method
from splitbrain.node.api.proto import compile_definitions
from splitbrain.node.api.proto.messages import message_class, method_descriptor, pool
from splitbrain.node.api.proto_names import attribute_name, struct_of
from splitbrain.node.api.protobuf_codec import request_decoder, response_encoder
from splitbrain.node.messages import rpc
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.mvcc.key_value import Event, EventType, KeyValue

UNIONS = {"Compare", "RequestOp", "ResponseOp", "WatchRequest", "Event"}
HEADER = rpc.ResponseHeader(12, 34, 5, 6)
METHOD = {method.name: method for method in METHODS}


def test_the_compiled_definitions_are_those_of_the_proto_files() -> None:
    pytest.importorskip("grpc_tools")
    assert compile_definitions.TARGET.read_text() == compile_definitions.compiled()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_each_method_exists_in_the_definitions_with_its_kind(method: Method) -> None:
    descriptor = method_descriptor(method.service, method.name)
    expected = {
        (False, False): Kind.UNARY,
        (False, True): Kind.SERVER_STREAM,
        (True, True): Kind.BIDI_STREAM,
    }
    assert method.kind is expected[descriptor.client_streaming, descriptor.server_streaming]
    if descriptor.input_type.name not in UNIONS:
        assert method.request.__name__ == descriptor.input_type.name
        check_fields(method.request, descriptor.input_type)


def check_fields(struct: Any, descriptor: Descriptor) -> None:
    """Every field of the struct, and of the structs in it, is a field of the message."""
    hints = get_type_hints(struct)
    fields = {attribute_name(field.name): field for field in descriptor.fields}
    for field in msgspec.structs.fields(struct):
        assert field.name in fields, f"{struct.__name__}.{field.name} is in no definition"
        inner = fields[field.name].message_type
        if inner is not None and inner.name not in UNIONS:
            check_fields(struct_of(hints[field.name]), inner)


@pytest.mark.parametrize(
    "struct",
    [one for one in get_args(rpc.Response) if one is not rpc.WatchResponse],
    ids=lambda struct: struct.__name__,
)
def test_each_field_of_a_response_has_a_definition(struct: type) -> None:
    found = pool().FindMessageTypeByName(f"etcdserverpb.{struct.__name__}")
    check_fields(struct, found)


def test_all_services_of_etcd_are_defined() -> None:
    for service, count in {
        "etcdserverpb.KV": 5, "etcdserverpb.Watch": 1, "etcdserverpb.Lease": 5,
        "etcdserverpb.Cluster": 5, "etcdserverpb.Maintenance": 8, "etcdserverpb.Auth": 17,
        "v3lockpb.Lock": 2, "v3electionpb.Election": 5, "grpc.health.v1.Health": 2,
    }.items():  # fmt: skip
        assert len(pool().FindServiceByName(service).methods) == count


def test_a_nested_transaction_is_decoded_from_protobuf() -> None:
    message = message_class("etcdserverpb.TxnRequest")()
    message.compare.add(key=b"k", target=3, value=b"x", result=2, range_end=b"l")
    message.compare.add(key=b"n", target=1, value=b"of another target")
    message.success.add().request_txn.failure.add().request_put.key = b"z"
    message.success.add().request_range.SetInParent()
    message.failure.add()
    assert request_decoder(METHOD["Txn"])(message.SerializeToString()) == rpc.TxnRequest(
        compare=(
            rpc.Compare(key=b"k", result=2, target=3, operand=b"x", range_end=b"l"),
            rpc.Compare(key=b"n", target=1, operand=0),
        ),
        success=(
            rpc.TxnRequest(failure=(rpc.PutRequest(key=b"z"),)),
            rpc.RangeRequest(),
        ),
        failure=(None,),
    )


def test_bytes_that_are_no_message_are_refused() -> None:
    with pytest.raises(RpcError, match="error unmarshalling request"):
        request_decoder(METHOD["Put"])(b"\xff\xff")


def test_responses_are_encoded_in_protobuf() -> None:
    kv = KeyValue(b"k", 1, 2, 3, b"v", 4)
    data = response_encoder(METHOD["Txn"])(
        rpc.TxnResponse(
            header=HEADER,
            succeeded=True,
            responses=(
                rpc.RangeResponse(kvs=(kv,), count=1),
                rpc.PutResponse(header=HEADER, prev_kv=kv),
                rpc.TxnResponse(responses=(rpc.DeleteRangeResponse(deleted=1),)),
            ),
        )
    )
    message = message_class("etcdserverpb.TxnResponse").FromString(data)
    assert message.header.member_id == 34
    first, second, third = message.responses
    assert first.response_range.kvs[0].value == b"v"
    assert second.response_put.prev_kv.lease == 4
    assert third.response_txn.responses[0].response_delete_range.deleted == 1
    # A put without a previous value does not have an empty one.
    empty = message_class("etcdserverpb.PutResponse").FromString(
        response_encoder(METHOD["Put"])(rpc.PutResponse(header=HEADER))
    )
    assert not empty.HasField("prev_kv")


def test_an_event_contains_the_previous_value_if_there_is_one() -> None:
    event = Event(EventType.DELETE, KeyValue(b"k", mod_revision=3), KeyValue(b"k", value=b"old"))
    data = response_encoder(METHOD["Watch"])(rpc.WatchResponse(watch_id=-1, events=(event,)))
    message = message_class("etcdserverpb.WatchResponse").FromString(data)
    assert message.watch_id == -1
    assert message.events[0].type == 1
    assert message.events[0].prev_kv.value == b"old"


def test_json_that_is_derived_from_a_definition_is_that_of_etcds_gateway() -> None:
    alarm = decode_request(
        "/v3/maintenance/alarm", b'{"action":"ACTIVATE","memberID":"18446744073709551615"}'
    )
    assert alarm == rpc.AlarmRequest(action=1, member_id=2**64 - 1)
    with pytest.raises(RpcError, match=r"for enum etcdserverpb\.AlarmRequest\.AlarmAction"):
        decode_request("/v3/maintenance/alarm", b'{"action":"MAYBE"}')
    status = rpc.StatusResponse(
        header=HEADER, version="3.5.1", db_size=7, errors=("a<b",), is_learner=True
    )
    assert encode_response(status) == (
        b'{"header":{"cluster_id":"12","member_id":"34","revision":"5","raft_term":"6"},'
        b'"version":"3.5.1","dbSize":"7","errors":["a\\u003cb"],"isLearner":true}'
    )
    assert encode_response(rpc.HashResponse(hash=9)) == b'{"header":{},"hash":9}'
