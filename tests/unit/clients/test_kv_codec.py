"""Requests and answers of the KV service in etcd's JSON, as the client writes and reads them."""

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.harness.clients.kv_codec import decode_error, decode_result, encode_request
from splitbrain.histories.kv import (
    Compact,
    CompactResult,
    Compare,
    Delete,
    DeleteResult,
    Header,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    Request,
    Result,
    Txn,
    TxnResult,
)

HEADER = {"cluster_id": "14841639068965178418", "member_id": "2", "revision": "7", "raft_term": "3"}
HEADER_READ = Header(7, 2, 14841639068965178418, 3)


def b(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode()


@pytest.mark.parametrize(("request_", "path", "body"), [
    (Put("a", "1"), "/v3/kv/put", {"key": b("a"), "value": b("1")}),
    (Put("a", "", lease=5, prev_kv=True), "/v3/kv/put",
     {"key": b("a"), "lease": "5", "prev_kv": True}),
    (Range("a"), "/v3/kv/range", {"key": b("a")}),
    (Range("a", "\0", revision=3, limit=2, serializable=True, count_only=True), "/v3/kv/range",
     {"key": b("a"), "range_end": "AA==", "revision": "3", "limit": "2", "serializable": True,
      "count_only": True}),
    (Range("a", "b", limit=2, sort_by="key"), "/v3/kv/range",
     {"key": b("a"), "range_end": b("b"), "limit": "2", "sort_order": "ASCEND",
      "sort_target": "KEY"}),
    (Range("a", "b", sort_by="value", descend=True), "/v3/kv/range",
     {"key": b("a"), "range_end": b("b"), "sort_order": "DESCEND", "sort_target": "VALUE"}),
    (Delete("a", "b", prev_kv=True), "/v3/kv/deleterange",
     {"key": b("a"), "range_end": b("b"), "prev_kv": True}),
    (Compact(9, physical=True), "/v3/kv/compaction", {"revision": "9", "physical": True}),
    (Txn((Compare("a", "value", "=", "1"), Compare("b", "mod", ">", 0)),
         success=(Put("a", "2"),), failure=(Range("a"), Delete("b"), Txn())),
     "/v3/kv/txn",
     {"compare": [{"key": b("a"), "target": "VALUE", "result": "EQUAL", "value": b("1")},
                  {"key": b("b"), "target": "MOD", "result": "GREATER", "mod_revision": "0"}],
      "success": [{"request_put": {"key": b("a"), "value": b("2")}}],
      "failure": [{"request_range": {"key": b("a")}},
                  {"request_delete_range": {"key": b("b")}}, {"request_txn": {}}]}),
])
def test_a_request_is_written_as_the_gateway_reads_it(
    request_: Request, path: str, body: dict[str, Any]
) -> None:
    sent_path, sent = encode_request(request_)
    assert (sent_path, json.loads(sent)) == (path, body)


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_survives_encoding_and_decoding(key: str, value: str) -> None:
    _, body = encode_request(Put(key, value))
    answer = {"kvs": [json.loads(body)]}
    result = decode_result(Range("a"), json.dumps(answer).encode())
    assert isinstance(result, RangeResult)
    got = result.kvs[0]
    assert (got.key, got.value) == (key, value)


@given(st.binary(max_size=20))
def test_any_bytes_that_a_store_answers_can_be_recorded(value: bytes) -> None:
    answer = {"kvs": [{"key": "YQ==", "value": base64.b64encode(value).decode()}]}
    result = decode_result(Range("a"), json.dumps(answer).encode())
    assert msgspec.json.decode(msgspec.json.encode(result), type=RangeResult) == result


@pytest.mark.parametrize(("request_", "answer", "result"), [
    (Put("a"), {"header": HEADER}, PutResult(HEADER_READ)),
    (Range("a"), {"header": HEADER, "count": "2", "more": True, "kvs": [
        {"key": b("a"), "value": b("x"), "create_revision": "2", "mod_revision": "7",
         "version": "4"}]},
     RangeResult(HEADER_READ, (KeyValue("a", "x", 2, 7, 4),), 2, True)),
    (Delete("a"), {"header": HEADER, "deleted": "1", "prev_kvs": [{"key": b("a")}]},
     DeleteResult(HEADER_READ, 1, (KeyValue("a"),))),
    (Txn(), {"header": HEADER, "succeeded": True, "responses": [
        {"response_put": {"header": {"revision": "7"}}}, {"response_range": {}},
        {"response_delete_range": {"deleted": "3"}}, {"response_txn": {"succeeded": True}}]},
     TxnResult(HEADER_READ, True, (
         PutResult(Header(7)), RangeResult(), DeleteResult(deleted=3), TxnResult(succeeded=True)))),
    (Compact(3), {"header": HEADER}, CompactResult(HEADER_READ)),
])
def test_all_fields_of_an_answer_are_decoded(
    request_: Request, answer: dict[str, Any], result: Result
) -> None:
    assert decode_result(request_, json.dumps(answer).encode()) == result


@pytest.mark.parametrize("body", [b"", b"[]", b'{"kvs": 3}', b'{"count": "x"}'])
def test_a_body_that_is_not_an_answer_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_result(Range("a"), body)


@pytest.mark.parametrize(("body", "message"), [
    (b'{"error":"e","message":"m","code":3}', "m"),
    (b'{"error":"only this","code":14}', "only this"),
    (b"Not Found\n", "Not Found"),
    (b"\xff\xfe", "\ufffd\ufffd"),
])
def test_an_error_is_decoded_in_every_format(body: bytes, message: str) -> None:
    assert decode_error(body) == message
