"""Generators that live elsewhere, or whose videos are already made."""
