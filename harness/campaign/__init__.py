"""Runs many seeds: campaigns, hunts, and the corpus of saved runs."""
