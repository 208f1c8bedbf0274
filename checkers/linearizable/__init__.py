"""Checks that each key is a linearizable register, by values alone."""
