"""The pages of `splitbrain serve` over all runs: runs, campaigns, groups, comparison."""
