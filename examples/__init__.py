"""Examples that run: each file says in its first lines how. `tests/examples` runs them all."""
