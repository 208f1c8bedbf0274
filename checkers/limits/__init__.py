"""Judges the limits of a store: space quota, sizes of requests, automatic compaction."""
