"""Searches for a smaller schedule that still fails: fewer faults, operations and members."""
