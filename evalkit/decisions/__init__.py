"""What follows from the numbers: which of two is better, good enough to release, which configuration."""
