"""Recorded campaigns: their plans, the jobs of their workers, and the log of their runs."""
