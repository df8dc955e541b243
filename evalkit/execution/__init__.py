"""Where and how the work of a sweep is done."""
