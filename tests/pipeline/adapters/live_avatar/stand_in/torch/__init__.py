"""A stand-in for torch that only launches."""
