"""Workloads, which generate operations and name the checkers that judge them."""
