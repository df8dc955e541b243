"""Any program as a generator: an argument template, and patterns that turn its output into events."""
