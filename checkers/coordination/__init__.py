"""Leases, locks and elections, judged against the members' change log."""
