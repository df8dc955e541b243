"""Statistics: pure and seeded."""
