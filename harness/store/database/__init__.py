"""The database of runs: one row for each run, beside the run folders."""
