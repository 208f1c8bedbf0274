"""Workloads that are independent of any store. Their values are those of Jepsen."""
