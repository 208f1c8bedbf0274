"""Puts failures into groups, saves failing runs, and finds the commit that caused a failure."""
