"""Affects running processes of any program by means of Linux: tracing, signals, limits, mounts."""
