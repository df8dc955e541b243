"""Runs put where experiments are tracked. An exporter is a plug-in of the entry-point group ``evalkit.exporters``."""
