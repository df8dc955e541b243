"""What every generator must keep, as a test class to subclass: ours and those of plug-ins pass the same one."""

# ruff: noqa: S101 - these are pytest's asserts

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipeline.diagnosis import Diagnosis
from pipeline.errors import RequestError
from pipeline.estimates import ResourceEstimate
from pipeline.events import SAVED, Event
from pipeline.generator import Generator
from pipeline.result import GenerationResult
from pipeline.video import measure_video

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class GeneratorContract:
    """Subclass it under a name that begins with ``Test``, with two fixtures.

    ``generator`` gives the generator, not loaded; ``parameters`` the plain parameters of a short video that it makes.
    """

    def test_it_describes_itself_in_plain_data(self, generator: Generator) -> None:
        """Its description goes through JSON and carries its name."""
        description = generator.describe()
        assert (description.name, description.version) == (generator.name, generator.version)
        assert type(description).from_dict(json.loads(json.dumps(description.to_dict()))) == description

    def test_its_optional_answers_are_of_the_agreed_types(
        self, generator: Generator, parameters: dict[str, Any]
    ) -> None:
        """What it knows of its needs and finds on this machine can be read by any caller."""
        assert isinstance(generator, Generator)
        assert isinstance(generator.estimate(generator.request(**parameters)), ResourceEstimate)
        assert all(isinstance(found, Diagnosis) for found in generator.diagnose())
        assert isinstance(generator.makes_batches, bool)

    def test_an_unknown_parameter_is_refused(self, generator: Generator, parameters: dict[str, Any]) -> None:
        """A misspelt parameter is an error that names it."""
        message = _refusal(lambda: generator.request(**parameters, sample_stepps=4))
        assert "sample_stepps" in message

    def test_an_unknown_option_is_refused(self, generator: Generator, parameters: dict[str, Any]) -> None:
        """A misspelt option is an error that names it, before anything runs."""
        options = {**parameters.get("options", {}), "no_such_option": 1}
        request = generator.request(**{**parameters, "options": options})
        assert "no_such_option" in _refusal(lambda: generator.check(request))

    def test_a_dry_run_writes_nothing(
        self, generator: Generator, parameters: dict[str, Any], tmp_path: Path
    ) -> None:
        """The plan has something to say and leaves the folder empty."""
        folder = _new_folder(tmp_path)
        assert generator.dry_run(generator.request(**parameters), folder / "out.mp4").text()
        assert list(folder.iterdir()) == []

    def test_a_video_is_made_and_reported_truly(
        self, generator: Generator, parameters: dict[str, Any], tmp_path: Path
    ) -> None:
        """The file is the only thing written; the result is what is in it; the events are in order."""
        folder = _new_folder(tmp_path)
        seen: list[Event] = []
        request = generator.request(**parameters)
        generator.check(request)
        with generator:
            result = generator.generate(request, folder / "out.mp4", seen.append)
        assert [path.name for path in folder.iterdir()] == ["out.mp4"]
        assert (result.generator, result.request) == (generator.name, request)
        measured = asdict(measure_video(result.video))
        assert {name: getattr(result, name) for name in measured} == measured
        assert result.events == tuple(seen)
        assert [event.time_s for event in seen] == sorted(event.time_s for event in seen)
        assert seen[-1].name == SAVED
        assert GenerationResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result

    def test_a_refused_request_changes_nothing(
        self, generator: Generator, parameters: dict[str, Any], tmp_path: Path
    ) -> None:
        """A picture that is not there is refused by all three; the old video stays, and nothing is added."""
        folder = _new_folder(tmp_path)
        out = folder / "out.mp4"
        out.write_bytes(b"old")
        request = generator.request(**{**parameters, "image": str(folder / "gone.png")})
        for attempt in (
            lambda: generator.check(request),
            lambda: generator.dry_run(request, out),
            lambda: generator.generate(request, out),
        ):
            assert "gone.png" in _refusal(attempt)
        assert [path.name for path in folder.iterdir()] == ["out.mp4"]
        assert out.read_bytes() == b"old"

    def test_loading_and_closing_twice_is_once(self, generator: Generator) -> None:
        """Neither complains the second time, and a closed one can be loaded again."""
        for _ in range(2):
            generator.load()
            generator.load()
            generator.close()
            generator.close()
        assert generator.describe().name == generator.name


def _refusal(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except RequestError as error:
        return str(error)
    raise AssertionError("it was not refused")


def _new_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "contract"
    folder.mkdir()
    return folder
