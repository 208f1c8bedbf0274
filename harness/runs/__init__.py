"""Executes a schedule in real time or in simulation, once or twice (to compare the two runs)."""
