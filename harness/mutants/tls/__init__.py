"""Planted bugs in the TLS of the member."""
