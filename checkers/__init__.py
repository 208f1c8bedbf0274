"""Contains the checkers: pure functions from the evidence of a run to a verdict."""
