"""Stores a row for each run in an SQLite database, so that runs can be searched and counted."""
