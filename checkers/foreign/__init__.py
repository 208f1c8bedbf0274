"""Judges histories that other tools recorded, by the model of their operations."""
