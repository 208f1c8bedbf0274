"""Renders runs as HTML: the page of one run, the table of all runs, and `splitbrain serve`."""
