"""Judges the members' traces: the write path, and Raft's election safety."""
