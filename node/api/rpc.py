"""etcd's v3 messages as values: what a request asks and what an answer says.

Bytes are bytes, 64-bit integers are ints; how they look in JSON (base64, strings,
omitted defaults) is the carrier's affair (`node.api.json_codec`). Names and
defaults as in etcd's `rpc.proto` and `kv.proto`.
"""
