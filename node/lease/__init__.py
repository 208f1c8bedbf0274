"""Lets leases expire on the leader, and answers keep-alives and queries of leases."""
