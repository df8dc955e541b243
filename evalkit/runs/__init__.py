"""The run folder: what a sweep leaves behind, readable without this program.

::

    RUN/
      run.json                what was asked, of what, with which versions, on which machine
      trials/<id>/trial.json  one trial: parameters, inputs, outcome, numbers
      trials/<id>/samples.json, timeline.json, video.mp4, log.txt, evidence/
      results.csv, results.parquet    one row a trial; derived, can be rebuilt

Files are written under another name and renamed when whole, so a reader needs no lock and never sees half of one.
"""

from evalkit.runs.run import Damage, Run
from evalkit.runs.schema import (
    Input,
    MetricInfo,
    MetricResults,
    MetricValue,
    RunManifest,
    SkippedTrial,
    Trial,
    TrialFailure,
)

__all__ = [
    "Damage",
    "Input",
    "MetricInfo",
    "MetricResults",
    "MetricValue",
    "Run",
    "RunManifest",
    "SkippedTrial",
    "Trial",
    "TrialFailure",
]
