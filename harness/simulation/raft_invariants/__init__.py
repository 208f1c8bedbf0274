"""Checks the invariants and the liveness of Raft while a cluster is simulated."""
