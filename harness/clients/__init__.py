"""Clients of stores with etcd's API or another one, and the outcomes of their requests."""
