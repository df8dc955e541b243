"""One family a file: what it needs, and one call into the metric mathematics."""
