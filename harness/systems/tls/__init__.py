"""Certificates of a cluster, and tests of the connections that its members accept and refuse."""
