"""The seeds that a run can have."""

SEED_MIN, SEED_MAX = -(2**63), 2**63 - 1
"""The smallest and the largest seed: the integers that a column of the database of runs can
hold."""
