"""Runs campaigns that are recorded: plans their runs, gives them to workers, and logs results."""
