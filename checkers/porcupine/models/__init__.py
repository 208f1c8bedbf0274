"""Models ready to use: `register` and `key_value`."""
