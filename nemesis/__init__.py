"""Faults as values, the drawing of a run's faults, and their injection into a system under test."""
