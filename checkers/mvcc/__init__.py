"""Checks linearizability of the whole store, by the revisions in the answers and the change logs.

The change logs are those of the members.
"""
