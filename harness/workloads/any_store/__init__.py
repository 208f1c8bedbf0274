"""Workloads that are independent of any store. Their operations have Jepsen's values."""
