"""Implements the Raft consensus algorithm as a state machine without I/O, clock or tasks."""
