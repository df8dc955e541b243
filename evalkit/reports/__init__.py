"""From measurements to tables and pictures."""
