"""The settings of a schedule as flags of members, and which of them a member applies."""
