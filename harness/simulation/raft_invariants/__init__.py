"""Checks the invariants of Raft after each step of a simulated member, and its liveness."""
