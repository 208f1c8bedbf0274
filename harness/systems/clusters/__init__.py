"""Base classes of stores whose members are processes: start, readiness, kill, pause and restart."""
