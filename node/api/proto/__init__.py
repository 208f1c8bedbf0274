"""etcd's protobuf messages and services: definitions, and the classes that are built from them."""
