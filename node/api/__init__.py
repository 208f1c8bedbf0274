"""Answers clients: etcd's v3 services, and the two ways to call them, gRPC and JSON over HTTP."""
