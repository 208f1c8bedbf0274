"""Reads and writes the files of runs and campaigns in the store, and the database of runs."""
