"""Planted bugs in the server: request ids, retries, reads and recovery."""
