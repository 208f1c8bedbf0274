"""Latency, availability and recovery: statistics, bounds and budgets."""
