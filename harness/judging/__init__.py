"""Judges a run's folder or a history file, and exports histories to other formats."""
