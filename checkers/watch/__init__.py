"""Checks that each watcher receives all events that it asked for, in order, and no others."""
