"""Creates JSON readers and writers for messages from their protobuf definitions in `proto/`.

`json_codec` uses them for the messages for which it has no faster functions.

Source: golang/protobuf 1.5.2, `jsonpb`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, get_type_hints

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from splitbrain.node.api import exact_json_requests
from splitbrain.node.api.json_text import array, base64, object_of, text
from splitbrain.node.api.methods import Method
from splitbrain.node.api.proto.messages import descriptor_of_struct, method_descriptor
from splitbrain.node.api.proto_names import attribute_name, struct_of

_SCALARS: dict[int, str] = {
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT64: "uint64",
}

Write = Callable[[Any], str]


# --- requests ------------------------------------------------------------------


def request_reader(method: Method) -> exact_json_requests.Message:
    """Return the reader that converts a method's requests from JSON."""
    return _message(method.request, method_descriptor(method.service, method.name).input_type)


@cache
def _message(struct: Any, descriptor: Descriptor) -> exact_json_requests.Message:
    hints = get_type_hints(struct)
    fields = tuple(
        exact_json_requests.Field(
            field.name, _reader(field, hints[attribute_name(field.name)]), field.is_repeated
        )
        for field in descriptor.fields
        if attribute_name(field.name) in hints
    )

    def build(values: dict[str, Any], _union: dict[str, Any]) -> Any:
        return struct(**{attribute_name(name): value for name, value in values.items()})

    return exact_json_requests.Message(build, fields)


def _reader(field: FieldDescriptor, hint: Any) -> exact_json_requests.Reader:
    if field.message_type is not None:
        inner = _message(struct_of(hint), field.message_type)
        return exact_json_requests.message_reader(inner)
    if field.enum_type is not None:
        numbers = {one.name: one.number for one in field.enum_type.values}
        return exact_json_requests.enum_reader(numbers, field.enum_type.full_name)
    return exact_json_requests.SCALAR_READERS[_SCALARS[field.type]]


# --- responses -----------------------------------------------------------------


def response_writer(struct: type) -> Write:
    """Return the writer that converts values of `struct` to JSON.

    The definition is found by the name of `struct`, because the message has the same name.
    """
    return _writer(descriptor_of_struct(struct))


@cache
def _writer(descriptor: Descriptor) -> Write:
    fields = [
        (attribute_name(field.name), _field_writer(field)) for field in descriptor.fields
    ]

    def write(value: Any) -> str:
        return object_of(
            *[write_one(getattr(value, attribute, None)) for attribute, write_one in fields]
        )

    return write


def _field_writer(field: FieldDescriptor) -> Write:
    name, element = field.name, _element_writer(field)
    if field.is_repeated:
        return lambda values: array(name, [element(one) for one in values or ()])
    if field.message_type is not None:
        return lambda value: "" if value is None else f'"{name}":{element(value)}'
    return lambda value: f'"{name}":{element(value)}' if value else ""


def _element_writer(field: FieldDescriptor) -> Write:
    if field.message_type is not None:
        return _writer(field.message_type)
    if field.enum_type is not None:
        names = {one.number: one.name for one in field.enum_type.values}
        return lambda value: f'"{names[value]}"' if value in names else str(value)
    match _SCALARS.get(field.type):
        case "bytes":
            return lambda value: f'"{base64(value)}"'
        case "string":
            return text
        case "bool":
            return lambda value: "true" if value else "false"
        case "int64" | "uint64":
            return lambda value: f'"{value}"'
    return str  # 32-bit numbers are bare
