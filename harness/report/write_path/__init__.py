"""Reads the steps of each write from the traces, and prepares the waterfall of a write."""
