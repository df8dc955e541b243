"""Sweeps: every configuration of a grid, on every input, with every seed, measured once and remembered."""
