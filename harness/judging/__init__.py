"""Judges run folders and history files: the verdict of each checker, and the merged one."""
