"""The schedule, the one value that describes a run, with its options and its text form."""
