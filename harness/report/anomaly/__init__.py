"""Draws one anomaly: the operations that prove it, and its cycle of transactions."""
