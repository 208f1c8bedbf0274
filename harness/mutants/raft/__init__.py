"""Planted bugs in Raft, in its log and in the persistence of its state."""
