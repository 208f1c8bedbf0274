"""Integrates Splitbrain into test suites: a pytest plugin, clusters, hypothesis strategies."""
