"""A grid whose trials do next to nothing: what is left is what the engine itself costs. See `tests.empty_grid.__main__`."""
