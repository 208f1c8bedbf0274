"""Readers of histories in the formats of other tools, and of files of transactions."""
