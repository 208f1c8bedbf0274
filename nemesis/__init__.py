"""Faults as values, their schedules, and their injection into a system under test."""
