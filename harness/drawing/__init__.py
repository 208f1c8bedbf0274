"""Draws the schedule of a run from its options and a seed, and changes schedules at random."""
