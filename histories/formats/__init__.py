"""Histories that other tools wrote, read as values."""
