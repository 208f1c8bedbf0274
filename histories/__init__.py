"""Histories: what clients, faults, watchers and members did in a run, and files that contain it."""
