"""What videos, measurements and machines are called."""

from __future__ import annotations

from typing import Any

from evalkit.runs.identity import machine_key, measurement_identity, video_id

GENERATOR: dict[str, Any] = {"name": "reference", "version": "1", "settings": {}}
PARAMS: dict[str, Any] = {"size": "384*256", "sample_steps": 3}
ANNA, HELLO = "aa" * 32, "bb" * 32


def of(
    params: dict[str, Any] = PARAMS,
    portrait: str | None = ANNA,
    speech: str | None = HELLO,
    seed: int | None = 420,
    **generator: Any,
) -> str:
    return video_id({**GENERATOR, **generator}, params, portrait=portrait, speech=speech, seed=seed)


def test_ids_are_pinned() -> None:
    # If this fails, nobody's videos or measurements are found again: raise the format, and say so in the changelog.
    assert of() == "da0a82ebe063f7ff"
    assert video_id({"name": "command"}, {}, portrait=None, speech=None, seed=None) == "01129ca575dfea83"
    assert measurement_identity("cc" * 32, "lip_sync", "2") == "ef94995fa7b8"
    assert machine_key({"processor": "none", "n_cores": 2}) == "5a464a12ba9b"


def test_everything_that_decides_a_video_changes_its_id() -> None:
    ids = {
        of(),
        of({**PARAMS, "sample_steps": 4}),
        of({**PARAMS, "fps": 25.0}),
        of(portrait="ab" * 32),
        of(portrait=None),
        of(speech="ab" * 32),
        of(seed=421),
        of(seed=None),
        of(version="2"),
        of(settings={"device": "cpu"}),
    }
    assert len(ids) == 10


def test_the_order_of_parameters_changes_nothing() -> None:
    assert of(dict(reversed(PARAMS.items()))) == of()


def test_everything_that_decides_a_measurement_changes_its_identity() -> None:
    identities = {
        measurement_identity("cc" * 32, "lip_sync", "2"),
        measurement_identity("dd" * 32, "lip_sync", "2"),
        measurement_identity("cc" * 32, "motion", "2"),
        measurement_identity("cc" * 32, "lip_sync", "3"),
        measurement_identity("cc" * 32, "lip_sync", "2 1a2b"),
    }
    assert len(identities) == 5
