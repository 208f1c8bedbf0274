"""Contains ready-made models: `register`, `key_value`, `sets`, `counter` and `mutex`."""
