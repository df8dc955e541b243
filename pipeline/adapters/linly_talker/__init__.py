"""Linly-Talker through the HTTP services that come with it."""
