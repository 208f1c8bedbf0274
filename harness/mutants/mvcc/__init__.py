"""Planted bugs in the multi-version store and in its watches."""
