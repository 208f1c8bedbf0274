"""Generates histories from a model of the store: valid ones of any size, and corrupted ones."""
