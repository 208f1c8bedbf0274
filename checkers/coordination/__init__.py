"""Judges leases, locks and elections by the members' change log."""
