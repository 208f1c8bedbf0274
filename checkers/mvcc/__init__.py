"""Checks linearizability of the whole store, by the revisions in answers and change logs."""
