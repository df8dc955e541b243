"""Scores that other tools gave the videos of a run, as metrics like our own: read, checked whole, then stored.

A tool is an evaluator that is not installed here: its scores are measurements under its name and version, so tables, policies,
comparisons and pages need to know nothing of where they came from.
"""

from evalkit.scores.definitions import Definitions, MetricDefinition
from evalkit.scores.importing import FORMATS, ImportedScores, import_scores

__all__ = ["FORMATS", "Definitions", "ImportedScores", "MetricDefinition", "import_scores"]
