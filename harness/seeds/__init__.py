"""Simulates many seeds on several cores, and summarizes the results."""
