"""Finds the smallest part of a history that still shows an anomaly."""
