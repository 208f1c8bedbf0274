"""Keeps a member within its limits: the space quota and automatic compaction."""
