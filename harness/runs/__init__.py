"""Executes a schedule as one run, in real time or in simulation; or twice, to compare the two."""
