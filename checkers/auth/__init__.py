"""Judges the auth service: users, roles and permissions, and the answers that they allow."""
