"""Clients of any store: the interface, their sessions, and the outcomes of their calls."""
