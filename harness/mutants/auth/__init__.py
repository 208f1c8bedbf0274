"""Planted bugs in users, roles, permissions and tokens."""
