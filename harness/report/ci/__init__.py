"""Writes the results of runs for CI systems: summary, test results, annotations, code quality."""
