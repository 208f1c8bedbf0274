"""The lists of the members of a cluster."""
