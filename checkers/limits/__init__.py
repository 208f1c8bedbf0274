"""The limits of a store: the space quota, the sizes of requests, and automatic compaction."""
