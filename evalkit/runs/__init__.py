"""The run folder: a record that grows, readable without this program.

::

    RUN/
      run.json                                     the plan, versions, machines
      videos/<id>/                                 one video: id = hash of generator, settings, parameters, inputs, seed
          video.mp4, generation.json, profile.json, timeline.json, log.txt
      measurements/<id>/<evaluator>@<identity>.json    what one version of one evaluator measured on that video
      measurements/<id>/<evaluator>@<identity>.samples.json, .evidence/
      ratings/ratings.sqlite, clips/               what people said of the videos; blind copies that they were shown
      outcomes/<source>.json                       what came of live trials, session by session
      decisions/                                   what was decided
      search.json                                  how configurations fared, where a search made the run
      results.csv, results.parquet                 one row per trial; derived, can be rebuilt

Files are written under another name and renamed when whole, so a reader needs no lock and never sees half of one.
Modules: `schema` (what the files hold), `identity` (what names them), `layout` (where they are), `records` (one file),
`store` (videos and measurements put together as trials), `legacy` (schema 1 and 2), `run` (reading), `looks` (how often
decisions were shown), `search` (how a search went), `ratings` (what people said), `outcomes` (of live trials), `clip_names` (videos as other tools
name them), `writer` (writing).
"""

from evalkit.runs.looks import record_look
from evalkit.runs.run import Damage, Evidence, Run
from evalkit.runs.schema import (
    CodeVersion,
    Input,
    MeasurementError,
    MeasurementRecord,
    MetricInfo,
    MetricResults,
    MetricValue,
    MomentValue,
    PlanRecord,
    RunManifest,
    Samples,
    SearchRecord,
    SkippedTrial,
    Trial,
    TrialFailure,
    VideoProfile,
    VideoRecord,
)
from evalkit.runs.writer import RunWriter

__all__ = [
    "CodeVersion",
    "Damage",
    "Evidence",
    "Input",
    "MeasurementError",
    "MeasurementRecord",
    "MetricInfo",
    "MetricResults",
    "MetricValue",
    "MomentValue",
    "PlanRecord",
    "Run",
    "RunManifest",
    "RunWriter",
    "Samples",
    "SearchRecord",
    "SkippedTrial",
    "Trial",
    "TrialFailure",
    "VideoProfile",
    "VideoRecord",
    "record_look",
]
