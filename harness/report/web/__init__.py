"""Renders the pages of `splitbrain serve`: runs, a live run, campaigns, groups, a comparison."""
