"""Contains etcd's protobuf definitions, and builds the message classes from them."""
