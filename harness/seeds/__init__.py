"""Many simulated runs, one for each seed, on several cores."""
