"""Step 10 of the write path: committed entries change the store, and the backend follows."""
