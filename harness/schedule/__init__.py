"""The schedule of a run as a value, its options, and its text form."""
