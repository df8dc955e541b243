"""Small shipped weights, each with its card."""
