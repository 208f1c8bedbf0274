"""Planted bugs in the services that clients call."""
