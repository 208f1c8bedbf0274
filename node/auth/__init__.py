"""Manages users, roles, permissions and tokens, and checks whether a user may make a request."""
