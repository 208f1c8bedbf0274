"""Stores the durable data of a member: write-ahead log, snapshot files, and the store's backend."""
