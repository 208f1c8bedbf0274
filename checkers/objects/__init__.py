"""Objects that a client keeps in the store: sets, counters, unique ids and queues."""
