"""Durable data of a member: write-ahead log, snapshot files, and the backends of the store."""
