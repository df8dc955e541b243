"""Metric mathematics: arrays in, numbers out. No files, no models, no frameworks."""
