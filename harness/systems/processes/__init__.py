"""One process of a member: its start and signals, its files and log, its ports and its crash."""
