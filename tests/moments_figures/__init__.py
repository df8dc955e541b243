"""Worst moments against planted faults of known time: ``python -m tests.moments_figures MEDIA``."""
