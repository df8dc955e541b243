"""Races over stored grids and planted worlds, played again and again: docs/search.md."""
