"""Reads histories in the formats of other tools, and files of transactions."""
