"""Decodes requests from JSON exactly as etcd's gateway does. It is slower than msgspec.

Each message has a table of its fields. The fields are in the order of the protobuf definition, and
the gateway reads them in this order. The order decides which of two errors is reported. It also
decides which field of a oneof is used if a request contains several.

Source: golang/protobuf 1.5.2, `jsonpb/decode.go`, with unknown fields allowed as in grpc-gateway
1.16; compared with etcd 3.5.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from splitbrain.node.api import go_json
from splitbrain.node.api.go_json import GoJsonError
from splitbrain.node.messages import errors, rpc

# A nested transaction and its outer transactions share one limit of operations. With etcd's limit
# of 128, a deeper transaction therefore cannot be valid.
TXN_DEPTH_MAX = 130

Reader = Callable[[bytes, int], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message. `read(raw, depth)` converts the field's raw JSON.

    If the field is `repeated`, `read` converts each element. `depth` is the number of messages that
    enclose the field.
    """

    name: str
    read: Reader
    repeated: bool = False
    oneof: bool = False
    json_name: str = field(init=False)

    def __post_init__(self) -> None:
        first, *rest = self.name.split("_")
        camel = first + "".join(word[:1].upper() + word[1:] for word in rest)
        object.__setattr__(self, "json_name", camel)


@dataclass(slots=True)
class Message:
    """A protobuf message: its fields, and the function `build` that creates its value.

    `build(values, union)` has two arguments. `values` contains the ordinary fields by name. `union`
    contains the field of the message's oneof. If the request sets no such field, `union` is empty.
    """

    build: Callable[[dict[str, Any], dict[str, Any]], Any]
    fields: tuple[Field, ...] = ()

    def read(self, raw: bytes, depth: int) -> Any:
        if depth > TXN_DEPTH_MAX:
            raise errors.too_many_operations()
        values: dict[str, Any] = {}
        union: dict[str, Any] = {}
        if raw != b"null":
            given = go_json.members(raw)
            for known in self.fields:
                element = _member(given, known)
                if element is None:
                    continue
                value = _field_value(known, element, depth)
                if known.oneof:
                    union = {known.name: value}
                else:
                    values[known.name] = value
        return self.build(values, union)


def _member(given: dict[str, bytes], known: Field) -> bytes | None:
    """Return the raw value that `given` contains for a field, or None if it contains none.

    A field can be spelled in snake case or in camel case. If both are given, the camel-case one is
    used.
    """
    raw = given.get(known.json_name, given.get(known.name))
    return None if raw == b"null" else raw


def _field_value(known: Field, raw: bytes, depth: int) -> Any:
    if known.repeated:
        return tuple(known.read(element, depth) for element in go_json.elements(raw))
    return known.read(raw, depth)


# --- kinds of fields -----------------------------------------------------------


def _bytes(raw: bytes, _depth: int) -> bytes:
    return go_json.byte_string(raw)


def _text(raw: bytes, _depth: int) -> str:
    if go_json.kind(raw) != "string":
        raise go_json.type_error(raw, "string")
    return go_json.unquote(raw).decode()


def _bool(raw: bytes, _depth: int) -> bool:
    return go_json.boolean(raw)


def _bare(raw: bytes) -> bytes:
    """Return a raw number without quotes. In JSON, a 64-bit number can be in quotes.

    The quoted text is parsed as JSON, so spaces around the number are allowed.
    """
    if len(raw) >= 2 and raw[0] == ord('"'):
        return go_json.whole_value(raw[1:-1])
    return raw


def _int64(raw: bytes, _depth: int) -> int:
    return go_json.integer(_bare(raw), "int64", -(2**63), 2**63 - 1)


def _uint64(raw: bytes, _depth: int) -> int:
    return go_json.integer(_bare(raw), "uint64", 0, 2**64 - 1)


def _enum(names: type[IntEnum], go_name: str) -> Reader:
    return enum_reader(names.__members__, go_name)


def enum_reader(numbers: Mapping[str, int], go_name: str) -> Reader:
    """Return the reader of an enum. `numbers` contains its values by name.

    `go_name` is the enum's name in error messages.
    """

    def read(raw: bytes, _depth: int) -> int:
        if len(raw) >= 2 and raw[0] == ord('"'):
            number = numbers.get(raw[1:-1].decode("utf-8", "replace"))
            if number is None:
                raise GoJsonError(f"unknown value {go_json.quote(raw)} for enum {go_name}")
            return int(number)
        return go_json.integer(raw, "protoreflect.EnumNumber", -(2**31), 2**31 - 1)

    return read


def message_reader(message: Message) -> Reader:
    def read(raw: bytes, depth: int) -> Any:
        return message.read(raw, depth + 1)

    return read


SCALAR_READERS: dict[str, Reader] = {
    "bytes": _bytes,
    "string": _text,
    "bool": _bool,
    "int64": _int64,
    "uint64": _uint64,
}
"""The readers of all fields whose type is not a message, by the name of the type."""


def _of(struct: Callable[..., Any]) -> Callable[[dict[str, Any], dict[str, Any]], Any]:
    return lambda values, _union: struct(**values)


def _winner(_values: dict[str, Any], union: dict[str, Any]) -> Any:
    return next(iter(union.values()), None)


def _compare(values: dict[str, Any], union: dict[str, Any]) -> rpc.Compare:
    operand = rpc.compare_operand(values.get("target", 0), union)
    return rpc.Compare(**values, operand=operand)


# --- messages ------------------------------------------------------------------

PUT = Message(
    _of(rpc.PutRequest),
    (
        Field("key", _bytes),
        Field("value", _bytes),
        Field("lease", _int64),
        Field("prev_kv", _bool),
        Field("ignore_value", _bool),
        Field("ignore_lease", _bool),
    ),
)

RANGE = Message(
    _of(rpc.RangeRequest),
    (
        Field("key", _bytes),
        Field("range_end", _bytes),
        Field("limit", _int64),
        Field("revision", _int64),
        Field("sort_order", _enum(rpc.SortOrder, "etcdserverpb.RangeRequest.SortOrder")),
        Field("sort_target", _enum(rpc.SortTarget, "etcdserverpb.RangeRequest.SortTarget")),
        Field("serializable", _bool),
        Field("keys_only", _bool),
        Field("count_only", _bool),
        Field("min_mod_revision", _int64),
        Field("max_mod_revision", _int64),
        Field("min_create_revision", _int64),
        Field("max_create_revision", _int64),
    ),
)

DELETE_RANGE = Message(
    _of(rpc.DeleteRangeRequest),
    (Field("key", _bytes), Field("range_end", _bytes), Field("prev_kv", _bool)),
)

COMPARE = Message(
    _compare,
    (
        Field("result", _enum(rpc.CompareResult, "etcdserverpb.Compare.CompareResult")),
        Field("target", _enum(rpc.CompareTarget, "etcdserverpb.Compare.CompareTarget")),
        Field("key", _bytes),
        Field("version", _int64, oneof=True),
        Field("create_revision", _int64, oneof=True),
        Field("mod_revision", _int64, oneof=True),
        Field("value", _bytes, oneof=True),
        Field("lease", _int64, oneof=True),
        Field("range_end", _bytes),
    ),
)

TXN = Message(_of(rpc.TxnRequest))

REQUEST_OP = Message(
    _winner,
    (
        Field("request_range", message_reader(RANGE), oneof=True),
        Field("request_put", message_reader(PUT), oneof=True),
        Field("request_delete_range", message_reader(DELETE_RANGE), oneof=True),
        Field("request_txn", message_reader(TXN), oneof=True),
    ),
)

TXN.fields = (
    Field("compare", message_reader(COMPARE), repeated=True),
    Field("success", message_reader(REQUEST_OP), repeated=True),
    Field("failure", message_reader(REQUEST_OP), repeated=True),
)

WATCH_CREATE = Message(
    _of(rpc.WatchCreateRequest),
    (
        Field("key", _bytes),
        Field("range_end", _bytes),
        Field("start_revision", _int64),
        Field("progress_notify", _bool),
        Field(
            "filters",
            _enum(rpc.FilterType, "etcdserverpb.WatchCreateRequest.FilterType"),
            repeated=True,
        ),
        Field("prev_kv", _bool),
        Field("watch_id", _int64),
        Field("fragment", _bool),
    ),
)

WATCH_CANCEL = Message(_of(rpc.WatchCancelRequest), (Field("watch_id", _int64),))

WATCH_PROGRESS = Message(_of(rpc.WatchProgressRequest))

# The value is None if a request contains none of the three fields.
WATCH = Message(
    _winner,
    (
        Field("create_request", message_reader(WATCH_CREATE), oneof=True),
        Field("cancel_request", message_reader(WATCH_CANCEL), oneof=True),
        Field("progress_request", message_reader(WATCH_PROGRESS), oneof=True),
    ),
)
