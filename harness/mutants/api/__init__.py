"""Planted bugs in the member's services that clients call."""
