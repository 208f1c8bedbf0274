"""Builds the classes of etcd's protobuf messages from their compiled definitions.

The classes are in a separate descriptor pool. Otherwise a process that also imports another client
of etcd, such as `etcd3`, would define the same message names twice, which protobuf refuses.
"""

from __future__ import annotations

from base64 import b85decode
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor

from splitbrain.node.api.proto.descriptors import FILE_DESCRIPTOR_SET


@cache
def pool() -> descriptor_pool.DescriptorPool:
    """Return the descriptor pool that contains the definitions in this folder."""
    definitions = descriptor_pb2.FileDescriptorSet.FromString(b85decode(FILE_DESCRIPTOR_SET))
    made = descriptor_pool.DescriptorPool()
    for file in definitions.file:
        made.Add(file)
    return made


@cache
def message_class(full_name: str) -> Any:
    """Return the class of a message, such as "etcdserverpb.PutRequest"."""
    return message_factory.GetMessageClass(pool().FindMessageTypeByName(full_name))


def method_descriptor(service: str, name: str) -> MethodDescriptor:
    return pool().FindServiceByName(service).methods_by_name[name]


@cache
def descriptor_of_struct(struct: type) -> Descriptor:
    """Return the definition of the message whose name is the name of the class `struct`."""
    return _messages_by_name()[struct.__name__]


@cache
def _messages_by_name() -> dict[str, Descriptor]:
    definitions = descriptor_pb2.FileDescriptorSet.FromString(b85decode(FILE_DESCRIPTOR_SET))
    found: dict[str, Descriptor] = {}
    for file in definitions.file:
        for message in file.message_type:
            assert message.name not in found, f"two messages are named {message.name}"
            found[message.name] = pool().FindMessageTypeByName(f"{file.package}.{message.name}")
    return found
