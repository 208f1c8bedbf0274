"""Planted bugs in the write-ahead log, the snapshot files and the backend."""
