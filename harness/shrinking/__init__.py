"""Makes a failing schedule smaller: fewer faults, operations and members, and ideal conditions."""
