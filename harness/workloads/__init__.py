"""Generators of operations, each with the checkers that judge them."""
