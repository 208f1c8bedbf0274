"""Disks that lose, change or refuse data: their content, and a FUSE file system that serves it."""
