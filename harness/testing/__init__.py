"""Splitbrain in a test suite: the pytest plugin, clusters as fixtures, hypothesis strategies."""
