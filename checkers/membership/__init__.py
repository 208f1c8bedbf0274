"""Judges the lists of the members of a cluster."""
