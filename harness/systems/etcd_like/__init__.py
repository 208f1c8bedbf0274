"""Clusters of stores with etcd's flags and API: etcd, and this project's own member."""
