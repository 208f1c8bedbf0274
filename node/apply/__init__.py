"""Step 10 of the write path: applies committed entries to the store and flushes the backend."""
