"""Computes the answer and the changes of each request, as a sequential store does."""
