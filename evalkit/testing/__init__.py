"""Media and contracts for tests, ours and those of plug-ins."""
