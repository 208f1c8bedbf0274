"""Implements the multi-version key-value store: revisions, transactions, compaction and watches."""
