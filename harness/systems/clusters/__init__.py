"""Base classes of all clusters of processes: start, readiness, kill, pause and restart."""
