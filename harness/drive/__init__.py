"""Drives one run against a system: clients, watchers, nemesis, and the final phases."""
