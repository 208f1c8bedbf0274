"""Means of Linux to affect a running process of any program: tracing, signals, limits, mounts."""
