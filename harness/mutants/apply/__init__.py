"""Planted bugs in applying committed entries, in transactions and in ranges."""
