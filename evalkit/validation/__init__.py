"""Faults of known dose, planted in the user's own clips: do the metrics see them? See docs/validate.md."""
