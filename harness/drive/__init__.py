"""Drives one run: set-up, load under faults, healing, final reads, the members' states."""
