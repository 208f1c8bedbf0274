"""The known bugs of stores, by version: what a run must not draw, and what it may excuse."""
