"""Planted bugs in leases, and in the locks and elections that depend on leases."""
