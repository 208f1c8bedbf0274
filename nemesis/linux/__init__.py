"""How faults reach a running process of any program on Linux: tracing, signals, limits."""
