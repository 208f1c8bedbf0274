"""etcd's v3 services for clients: their handlers, and the carriers gRPC and JSON over HTTP."""
