"""Injection of faults into a system, and healing of faults that overlap."""
