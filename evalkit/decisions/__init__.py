"""What follows from the numbers: which of two is better, good enough to release, which configuration."""

DEFAULT_POLICY = "customer_service"
"""Bundled; judges where no policy is named."""
