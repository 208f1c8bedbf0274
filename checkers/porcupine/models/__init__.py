"""Models ready to use: `register`, `key_value` and `mutex`."""
