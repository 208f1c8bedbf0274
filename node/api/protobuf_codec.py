"""Converts requests from protobuf and responses to protobuf.

The decoder and the encoder of a type are built once, from the message's definition in `proto/` and
the struct of the same name. The structs represent a oneof in another way than protobuf, so separate
functions convert these fields.

Source: the protobuf encoding, as implemented by `google.protobuf`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, get_args, get_type_hints

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError

from splitbrain.node.api.methods import Method
from splitbrain.node.api.proto.messages import message_class, method_descriptor
from splitbrain.node.api.proto_names import attribute_name, struct_of
from splitbrain.node.messages import rpc
from splitbrain.node.messages.errors import Code, RpcError

Decode = Callable[[bytes], Any]
Encode = Callable[[Any], bytes]
Convert = Callable[[Any], Any]
Fill = Callable[[Any, Any], None]

_REQUEST_OPS = {
    "request_range": rpc.RangeRequest,
    "request_put": rpc.PutRequest,
    "request_delete_range": rpc.DeleteRangeRequest,
    "request_txn": rpc.TxnRequest,
}
_WATCH_REQUESTS = {
    "create_request": rpc.WatchCreateRequest,
    "cancel_request": rpc.WatchCancelRequest,
    "progress_request": rpc.WatchProgressRequest,
}
_RESPONSE_OPS: dict[type, str] = {
    rpc.RangeResponse: "response_range",
    rpc.PutResponse: "response_put",
    rpc.DeleteRangeResponse: "response_delete_range",
    rpc.TxnResponse: "response_txn",
}
_ATTRIBUTES = {("mvccpb.Event", "prev_kv"): "previous"}
"""The attributes whose names do not follow the rule of `attribute_name`."""


def request_decoder(method: Method) -> Decode:
    """Return the function that decodes a method's requests.

    The decoder raises RpcError if the bytes are not a valid message of the method's request type.
    It returns None for a request without a value for its oneof, such as a watch request that
    neither creates nor cancels a watch.
    """
    descriptor = method_descriptor(method.service, method.name).input_type
    parse = message_class(descriptor.full_name).FromString
    convert = _converter(method.request, descriptor)

    def decode(data: bytes) -> Any:
        try:
            message = parse(data)
        except DecodeError as problem:
            raise RpcError(
                Code.INTERNAL, f"grpc: error unmarshalling request: {problem}"
            ) from None
        return convert(message)

    return decode


def response_encoder(method: Method) -> Encode:
    """Return the function that encodes a method's responses."""
    descriptor = method_descriptor(method.service, method.name).output_type
    make = message_class(descriptor.full_name)
    fill = _filler(descriptor)

    def encode(response: Any) -> bytes:
        message = make()
        fill(message, response)
        data: bytes = message.SerializeToString()
        return data

    return encode


# --- messages to values --------------------------------------------------------


def _converter(struct: Any, descriptor: Descriptor) -> Convert:
    match descriptor.full_name:
        case "etcdserverpb.Compare":
            return _compare
        case "etcdserverpb.RequestOp":
            return _union("request", _REQUEST_OPS, descriptor)
        case "etcdserverpb.WatchRequest":
            return _union("request_union", _WATCH_REQUESTS, descriptor)
    return struct_converter(struct, descriptor)


@cache
def struct_converter(struct: Any, descriptor: Descriptor) -> Convert:
    """Return a function that converts a message to a value of `struct`.

    A field of the struct that the message does not have keeps its default.
    """
    hints = get_type_hints(struct)
    found = {attribute_name(field.name): field for field in descriptor.fields}
    attributes = [one.name for one in msgspec.structs.fields(struct)]
    fields = tuple(
        (attribute, found[attribute].name, _field_converter(found[attribute], hints[attribute]))
        for attribute in attributes
        if attribute in found
    )
    if not fields:
        return lambda _message: struct()
    if len(fields) == len(attributes) and not any(convert for _, _, convert in fields):
        read = attrgetter(*[name for _, name, _ in fields])
        if len(fields) == 1:
            return lambda message: struct(read(message))
        return lambda message: struct(*read(message))

    def convert(message: Any) -> Any:
        return struct(
            **{
                attribute: getattr(message, name) if convert_one is None else convert_one(message)
                for attribute, name, convert_one in fields
            }
        )

    return convert


def _field_converter(field: FieldDescriptor, hint: Any) -> Convert | None:
    """Return a function that reads `field` from a message and converts its value.

    `hint` is the type of the attribute. Returns None if the value needs no conversion.
    """
    name = field.name
    if field.message_type is None:
        if field.is_repeated:
            return lambda message: tuple(getattr(message, name))
        if field.enum_type is not None and hint is str:
            names = {one.number: one.name for one in field.enum_type.values}
            return lambda message: names.get(getattr(message, name), "")
        return None
    # A transaction contains itself, so its operations are resolved when they are first used.
    inner: list[Convert] = []

    def convert_one(message: Any) -> Any:
        if not inner:
            inner.append(_converter(struct_of(hint), field.message_type))
        return inner[0](message)

    if field.is_repeated:
        return lambda message: tuple([convert_one(one) for one in getattr(message, name)])
    if type(None) not in get_args(hint):
        return lambda message: convert_one(getattr(message, name))
    return lambda message: convert_one(getattr(message, name)) if message.HasField(name) else None


def _union(name: str, structs: dict[str, Any], descriptor: Descriptor) -> Convert:
    inner: dict[str, Convert] = {}

    def convert(message: Any) -> Any:
        field = message.WhichOneof(name)
        if field is None:
            return None
        convert_one = inner.get(field)
        if convert_one is None:
            one = descriptor.fields_by_name[field].message_type
            convert_one = inner[field] = _converter(structs[field], one)
        return convert_one(getattr(message, field))

    return convert


def _compare(message: Any) -> rpc.Compare:
    field = message.WhichOneof("target_union")
    union = {} if field is None else {field: getattr(message, field)}
    return rpc.Compare(
        key=message.key,
        result=message.result,
        target=message.target,
        operand=rpc.compare_operand(message.target, union),
        range_end=message.range_end,
    )


# --- values to messages --------------------------------------------------------


@cache
def _filler(descriptor: Descriptor) -> Fill:
    """Return a function that copies the fields of a value into an empty message.

    A field that the value does not have keeps its default.
    """
    if descriptor.full_name == "etcdserverpb.ResponseOp":
        return _fill_response_op
    plain: list[tuple[str, str]] = []
    special: list[tuple[str, Fill]] = []
    for field in descriptor.fields:
        attribute = _ATTRIBUTES.get(
            (descriptor.full_name, field.name), attribute_name(field.name)
        )
        if field.message_type is None and not field.is_repeated:
            plain.append((field.name, attribute))
        else:
            special.append((attribute, _field_filler(field)))

    def fill(message: Any, value: Any) -> None:
        for name, attribute in plain:
            content = getattr(value, attribute, None)
            if content:
                setattr(message, name, content)
        for attribute, fill_one in special:
            content = getattr(value, attribute, None)
            if content is not None:
                fill_one(message, content)

    return fill


def _field_filler(field: FieldDescriptor) -> Fill:
    name, inner = field.name, field.message_type

    def extend(message: Any, values: Any) -> None:
        getattr(message, name).extend(values)

    def add(message: Any, values: Any) -> None:
        if values:
            make, fill = getattr(message, name).add, _filler(inner)
            for value in values:
                fill(make(), value)

    def set_message(message: Any, value: Any) -> None:
        target = getattr(message, name)
        target.SetInParent()
        _filler(inner)(target, value)

    if not field.is_repeated:
        return set_message
    return extend if inner is None else add


def _fill_response_op(message: Any, value: Any) -> None:
    target = getattr(message, _RESPONSE_OPS[type(value)])
    target.SetInParent()
    _filler(target.DESCRIPTOR)(target, value)
