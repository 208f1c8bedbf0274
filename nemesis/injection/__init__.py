"""Injects faults into a system, and heals them, also if they overlap."""
