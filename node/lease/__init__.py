"""The times of leases: expiry on the leader, keep-alives and queries, which the leader answers."""
