"""Implements one member of an etcd-like replicated store: server, Raft, storage and API."""
