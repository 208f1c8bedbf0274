"""Judges latency, availability and recovery: statistics, bounds and budgets."""
