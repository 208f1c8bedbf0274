"""Enforces the space quota, compacts automatically, and compares a member's data with its peers."""
