"""Histories made from a model of the store: valid ones of any size, and spoilt ones."""
