"""The mounted disks of members, which lose, change and refuse data."""
