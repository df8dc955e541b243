"""The public library as type checkers see it. Never run: `make check` checks its types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import assert_type

import pandas as pd

import evalkit
from evalkit.measuring.pool import BatchProgress

BRIGHTNESS = evalkit.Metric("mine.brightness", "1", "band", "mean brightness")


@evalkit.evaluator
class Mine(evalkit.Evaluator):
    """An evaluator of a notebook."""

    name, version = "mine", 1
    metrics = (BRIGHTNESS,)
    tracks = ("picture",)

    def measure(self, facts: evalkit.ClipFacts, tracks: Mapping[str, evalkit.Track]) -> evalkit.Measured:
        """Measure nothing but that there is a picture."""
        assert_type(facts.path, str)
        n = len(tracks["picture"])
        return evalkit.Measured((evalkit.Measurement(BRIGHTNESS, float(n), n=n),), details=tracks)

    def evidence(self, details: Mapping[str, evalkit.Track]) -> Iterator[evalkit.Exhibit]:
        """Show the number in words."""
        yield evalkit.Exhibit("words.html", "what was counted", str(len(details)), BRIGHTNESS)


def show(progress: BatchProgress) -> None:
    """Take the progress of a batch."""
    assert_type(progress.share, float)


def measure_videos(folder: Path) -> None:
    """Measure, look at the results, and compare."""
    report = evalkit.evaluate(
        [folder, "videos/*.mov"],
        evaluators=["lip_sync", Mine, Mine()],
        settings={"speech": {"recogniser": "pocketsphinx"}},
        jobs=2,
        on_progress=show,
    )
    assert_type(report, evalkit.Report)
    assert_type(report.frame(), pd.DataFrame)
    assert_type(report[0], evalkit.ClipResult)
    measurement = report[0]["lip_sync.error"]
    assert_type(measurement, evalkit.Measurement)
    assert_type(measurement.value, float | None)
    assert_type(evalkit.compare(report, folder), evalkit.Comparison)


def release(run: evalkit.Run) -> bool:
    """Sweep, choose, and judge."""
    assert_type(evalkit.sweep("sweep.yaml", "run", overrides={"seeds": [1]}), evalkit.Run)
    assert_type(evalkit.recommend(run), evalkit.Recommendation)
    verdict = evalkit.signoff(run, "customer_service", where={"size": "384*256"})
    assert_type(verdict, evalkit.Signoff)
    with evalkit.profile() as cost:
        assert_type(evalkit.compare(run, split={"sample_steps": (4, 3)}).answer, str)
    assert_type(cost.measurements, tuple[evalkit.Measurement, ...])
    return verdict.decision == "PASS"


def wrong() -> None:
    """Be refused: an ignore that is not needed would be an error."""
    evalkit.evaluate("a.mp4", only=["lip_sync"])  # type: ignore[call-arg]
    evalkit.evaluate(3)  # type: ignore[arg-type]
    evalkit.nothing  # type: ignore[attr-defined]  # noqa: B018
