"""Linearizability of the whole store, by the revisions
on its answers and by the members' change logs.
"""
