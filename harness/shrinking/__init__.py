"""Makes a failing schedule small: fewer faults, operations and members, a plainer world."""
