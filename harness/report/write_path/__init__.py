"""The steps of each traced write, and the waterfall that shows them for one write."""
