"""Requests and responses in JSON: every form is decoded and encoded like etcd's gateway does it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.node.api import exact_json_requests, go_json, json_codec
from splitbrain.node.api.fast_json_requests import decode_usual
from splitbrain.node.messages import rpc
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.mvcc.key_value import Event, EventType, KeyValue


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"garbage", "invalid character 'g' looking for beginning of value"),
        (b"{", "unexpected EOF"),
        (b'{"key":5}', "json: cannot unmarshal number into Go value of type []uint8"),
        (b'{"key":"***"}', "illegal base64 data at input byte 0"),
        (b'{"key":"YQ="}', "illegal base64 data at input byte 3"),
        (b'{"key":"YQ==="}', "illegal base64 data at input byte 4"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'{"a":tru}', "invalid character '}' in literal true (expecting 'e')"),
        (b'{"a":01}', "invalid character '1' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (
            b'{"key":"YQ==","lease":"9223372036854775808"}',
            "json: cannot unmarshal number 9223372036854775808 into Go value of type int64",
        ),
        (b'{"key":"YQ==","lease":""}', "unexpected end of JSON input"),
        (
            b"[]",
            "json: cannot unmarshal array into Go value of type map[string]json.RawMessage",
        ),
        (b"\xff", "invalid character '\u00ff' looking for beginning of value"),
        (b'{"x":' + b"[" * 10_001, "invalid character '[' exceeded max depth"),
    ],
)
def test_a_malformed_request_is_refused_with_the_message_of_gos_decoder(
    body: bytes, message: str
) -> None:
    with pytest.raises(RpcError) as refused:
        json_codec.decode_request("/v3/kv/put", body)
    assert refused.value.message == message
    assert refused.value.http_status == 400


@pytest.mark.parametrize(
    "body", [b"", b"  ", b"null", b"{}", b'{"unknown":[1]}', b'{"key":null}', b"{} trailing"]
)
def test_a_body_without_known_fields_is_a_request_of_defaults(body: bytes) -> None:
    assert json_codec.decode_request("/v3/kv/put", body) == rpc.PutRequest()


binaries = st.binary(max_size=6)
int64s = st.integers(-(2**63), 2**63 - 1)


@given(binaries, binaries, int64s, st.booleans(), st.booleans(), st.booleans())
def test_every_spelling_of_a_put_decodes_to_the_same_put(
    key: bytes, value: bytes, lease: int, prev_kv: bool, quoted: bool, camel: bool
) -> None:
    body: dict[str, Any] = {
        "key": encoded(key),
        "value": encoded(value),
        "lease": str(lease) if quoted else lease,
        "prevKv" if camel else "prev_kv": prev_kv,
    }
    found = json_codec.decode_request("/v3/kv/put", json.dumps(body).encode())
    assert found == rpc.PutRequest(key=key, value=value, lease=lease, prev_kv=prev_kv)


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), int64s, st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(
            ["", "YQ==", "Yg==", "VERSION", "MOD", "VALUE", "EQUAL", "ASCEND", "5", "-0", "05", "x"]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(
                ["key", "value", "lease", "limit", "revision", "compare", "success", "target",
                 "result", "version", "mod_revision", "request_put", "request_range", "prev_kv",
                 "sort_order", "sort_target", "failure", "request_txn", "serializable"]
            ),
            inner, max_size=3,
        ),
    ),
    max_leaves=8,
)  # fmt: skip


@given(json_values, st.sampled_from(["/v3/kv/put", "/v3/kv/range", "/v3/kv/txn"]))
def test_a_value_that_the_decoder_of_usual_requests_accepts_equals_that_of_the_exact_decoder(
    value: Any, method: str
) -> None:
    body = json.dumps(value).encode()
    found = decode_usual(method, body)
    if found is not None:
        assert found == json_codec._READERS[method].read(body, 0)


numbers = st.integers(-(10**18) + 1, 10**18 - 1).flatmap(
    lambda number: st.sampled_from([number, str(number)])
)
keys = binaries.map(encoded)
ranges = st.fixed_dictionaries(
    {"key": keys},
    optional={
        "range_end": keys, "limit": numbers, "revision": numbers, "serializable": st.booleans(),
        "sort_order": st.sampled_from(["NONE", "ASCEND", "DESCEND"]),
        "sort_target": st.sampled_from(["KEY", "VERSION", "CREATE", "MOD", "VALUE"]),
        "min_mod_revision": numbers, "max_create_revision": numbers,
    },
)  # fmt: skip
compares = st.fixed_dictionaries(
    {"key": keys},
    optional={
        "result": st.sampled_from(["EQUAL", "GREATER", "LESS", "NOT_EQUAL"]),
        "target": st.sampled_from(["VERSION", "CREATE", "MOD", "VALUE", "LEASE"]),
        "version": numbers, "create_revision": numbers, "value": keys, "range_end": keys,
    },
)  # fmt: skip


def transactions(operations: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    branch = st.lists(operations, max_size=2)
    return st.fixed_dictionaries(
        {}, optional={"compare": st.lists(compares, max_size=2), "success": branch,
                      "failure": branch},
    )  # fmt: skip


operations = st.recursive(
    st.one_of(
        st.fixed_dictionaries({"request_range": ranges}),
        st.fixed_dictionaries({"request_put": st.fixed_dictionaries({"key": keys, "value": keys})}),
    ),
    lambda inner: st.fixed_dictionaries({"request_txn": transactions(inner)}),
    max_leaves=4,
)


@given(
    st.one_of(
        st.tuples(st.just("/v3/kv/range"), ranges),
        st.tuples(st.just("/v3/kv/txn"), transactions(operations)),
    )
)
def test_a_request_in_the_usual_form_is_decoded_as_by_the_exact_decoder(
    request: tuple[str, dict[str, Any]]
) -> None:
    method, value = request
    body = json.dumps(value).encode()
    found = decode_usual(method, body)
    assert found == json_codec._READERS[method].read(body, 0)


@pytest.mark.parametrize("levels", [1, 100, 100_000])
def test_nested_transactions_are_left_to_the_exact_decoder_beyond_a_depth(levels: int) -> None:
    body = b'{"success":[{"request_txn":' * levels + b"{}" + b"}]}" * levels
    assert (decode_usual("/v3/kv/txn", body) is None) == (levels > 4)


def test_the_last_field_of_a_oneof_in_protobuf_order_wins() -> None:
    body = b'{"success":[{"request_put":{"key":"YQ=="},"request_range":{"key":"Yg=="}}]}'
    expected = rpc.TxnRequest(success=(rpc.PutRequest(key=b"a"),))
    assert json_codec.decode_request("/v3/kv/txn", body) == expected
    assert exact_json_requests.TXN.read(body, 0) == expected


def test_a_comparison_without_an_operand_of_its_target_compares_with_zero() -> None:
    body = b'{"compare":[{"key":"YQ==","target":"VERSION","value":"YQ=="}]}'
    (compare,) = json_codec.decode_request("/v3/kv/txn", body).compare
    assert compare.operand == 0


@given(st.binary(max_size=20))
def test_base64_that_python_encodes_is_decoded_to_the_same_bytes(data: bytes) -> None:
    assert go_json.base64_decode(base64.b64encode(data)) == data


@given(json_values)
def test_the_first_json_value_of_a_body_is_found_with_its_end(value: Any) -> None:
    body = json.dumps(value).encode()
    assert go_json.first_value(b" " + body + b" {") == (1, 1 + len(body))


def test_answers_omit_defaults_and_quote_64_bit_integers() -> None:
    header = rpc.ResponseHeader(1, 2, 3, 4)
    kv = KeyValue(b"a", 2, 3, 1, b"v")
    assert json_codec.encode_response(rpc.RangeResponse(header, (kv,), True, 2)) == (
        b'{"header":{"cluster_id":"1","member_id":"2","revision":"3","raft_term":"4"},'
        b'"kvs":[{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"1",'
        b'"value":"dg=="}],"more":true,"count":"2"}'
    )
    deletion = Event(EventType.DELETE, KeyValue(b"a", mod_revision=5), kv)
    assert json_codec.encode_stream_line(rpc.WatchResponse(events=(deletion,))) == (
        b'{"result":{"header":{},"events":[{"type":"DELETE","kv":{"key":"YQ==",'
        b'"mod_revision":"5"},"prev_kv":{"key":"YQ==","create_revision":"2",'
        b'"mod_revision":"3","version":"1","value":"dg=="}}]}}\n'
    )


def test_a_watch_body_is_decoded_in_fragments_of_any_size() -> None:
    requests = json_codec.StreamRequests("/v3/watch", 1000)
    body = b'{"create_request":{"key":"YQ=="}}{} {"cancel_request":{"watch_id":"3"}}'
    found = [one for at in range(len(body)) for one in requests.feed(body[at : at + 1])]
    assert found == [rpc.WatchCreateRequest(key=b"a"), rpc.WatchCancelRequest(watch_id=3)]
