"""Planted bugs in the limits of a store: space, sizes and automatic compaction."""
