"""Disks that lose, change or refuse data: their content, and a file system for any process."""
