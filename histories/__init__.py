"""Records, stores and reads what clients, faults, watchers and members did in a run."""
