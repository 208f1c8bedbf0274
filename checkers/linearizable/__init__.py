"""Linearizability of each key as a register, by values alone."""
