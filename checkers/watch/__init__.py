"""Watches: each watcher receives all the events that it asked for, in order, and no others."""
