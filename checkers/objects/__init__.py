"""Judges objects that clients keep in the store: sets, counters, unique ids and queues."""
