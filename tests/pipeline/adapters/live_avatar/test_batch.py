"""Several videos in one run: one load, each with its own times, and what is done stays done."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.adapters.live_avatar.generator import LiveAvatar
from pipeline.errors import GenerationError, RequestError
from pipeline.testing import GeneratorContract
from tests.fixtures.processes import command_line
from tests.pipeline.conftest import tone, write_wav

from .conftest import left_of, write_portrait

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.request import GenerationRequest
    from pipeline.result import GenerationResult
    from tests.pipeline.adapters.live_avatar.conftest import Driver


class TestContract(GeneratorContract):
    """It keeps the contract of all generators, a batch of one at a time."""

    @pytest.fixture
    def generator(self, driver: Driver) -> LiveAvatar:
        """Give the driver with batches."""
        return driver(batch=True, fp8=False)

    @pytest.fixture
    def parameters(self, portrait: Path) -> dict[str, Any]:
        """Give words to speak."""
        return {"image": str(portrait), "text": "Good morning", "num_clip": 1}


@pytest.fixture
def inputs(tmp_path: Path, portrait: Path) -> list[dict[str, Any]]:
    """Give three inputs of one, two and three clips; the second is another portrait."""
    other = write_portrait(tmp_path / "upright.png", 400, 720)
    sounds = [write_wav(tmp_path / f"{seconds}.wav", tone(seconds)) for seconds in (1.5, 3.0, 5.0)]
    return [
        {"image": portrait, "audio": sounds[0], "prompt": "smiles"},
        {"image": other, "audio": sounds[1], "prompt": "nods: yes, 'yes'"},
        {"image": portrait, "audio": sounds[2], "prompt": ""},
    ]


def make_all(
    live: LiveAvatar, requests: list[GenerationRequest], folder: Path
) -> list[GenerationResult | GenerationError | RequestError]:
    """Ask for one after the other as a sweep does: each time with what comes next."""
    made: list[GenerationResult | GenerationError | RequestError] = []
    for index, request in enumerate(requests):
        live.announce_upcoming(requests[index:], folder)
        out = folder / f"{index}" / "video.mp4"
        out.parent.mkdir(parents=True)
        try:
            made.append(live.generate(request, out))
        except (GenerationError, RequestError) as error:
            made.append(error)
    return made


def n_loads(results: list[Any]) -> int:
    """Count how often the model was loaded: videos of one load tell the same time for it."""
    loads = [
        event.detail["load_s"] for result in results for event in result.events if event.name == "loaded"
    ]
    assert len(loads) == len(results)
    return len(set(loads))


@pytest.mark.parametrize("n_gpus", [1, 5])
def test_one_load_for_all_and_times_apart(
    n_gpus: int, driver: Driver, inputs: list[dict[str, Any]], tmp_path: Path
) -> None:
    with driver(batch=True, fp8=False, n_gpus=n_gpus) as live:
        results: list[Any] = make_all(live, [live.request(**given) for given in inputs], tmp_path / "made")
    assert n_loads(results) == 1
    assert [result.n_clips for result in results] == [1, 2, 3]
    assert [(result.width, result.height) for result in results] == [(384, 256), (256, 384), (384, 256)]
    assert [result.n_frames for result in results] == [38, 75, 125]  # as long as the sound
    began = []
    for result in results:
        names = [event.name for event in result.events if event.name != "warning"]
        assert names[:3] == ["began", "loaded", "speech"]
        assert sorted(names[3:-2]) == sorted(
            ["prepared", "first_block", "denoised", *["clip"] * result.n_clips]
        )
        assert names[-2:] == ["first_frame", "saved"]
        assert [event.time_s for event in result.events] == sorted(event.time_s for event in result.events)
        assert result.events[0].time_s == 0
        began.append(result.events[0].detail["monotonic_s"])
    for before, after, result in zip(began, began[1:], results, strict=False):
        assert before + result.time_of("saved") <= after  # no moment belongs to two of them
    compiles = [
        any("compiles the model" in str(event.detail) for event in result.events) for result in results
    ]
    assert compiles == [True, False, False]
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["0", "1", "2"]
    assert left_of(tmp_path) == []


def test_who_comes_late_gets_true_times(driver: Driver, inputs: list[dict[str, Any]], tmp_path: Path) -> None:
    """The batch has made the second video before it is asked for."""
    with driver(batch=True, fp8=False) as live:
        requests = [live.request(**given) for given in inputs[:2]]
        live.announce_upcoming(requests, tmp_path)
        first, second = tmp_path / "1.mp4", tmp_path / "2.mp4"
        live.generate(requests[0], first)
        while left_of(tmp_path):  # until the batch is over
            time.sleep(0.05)
        asked_s = time.monotonic()
        result = live.generate(requests[1], second)
    saved_s = result.time_of("saved")
    assert saved_s is not None
    assert float(str(result.events[0].detail["monotonic_s"])) + saved_s < asked_s
    assert result.n_clips == 2


def test_text_is_spoken_for_each(driver: Driver, portrait: Path, tmp_path: Path) -> None:
    with driver(batch=True, fp8=False) as live:
        requests = [
            live.request(image=portrait, text=text) for text in ("Good morning", "Good evening to you all")
        ]
        results: list[Any] = make_all(live, requests, tmp_path / "made")
    assert n_loads(results) == 1
    assert results[0].n_frames < results[1].n_frames


def test_what_differs_in_more_than_inputs_is_another_batch(
    driver: Driver, inputs: list[dict[str, Any]], tmp_path: Path
) -> None:
    with driver(batch=True, fp8=False) as live:
        requests = [live.request(**given, sample_steps=steps) for steps in (4, 3) for given in inputs[:2]]
        results: list[Any] = make_all(live, requests, tmp_path / "made")
    assert n_loads(results[:2]) == n_loads(results[2:]) == 1
    assert n_loads(results) == 2
    assert [result.request for result in results] == requests


def test_one_that_is_refused_does_not_disturb_the_others(
    driver: Driver, inputs: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_text("no picture")
    given = [inputs[0], {**inputs[1], "image": tmp_path / "broken.png"}, inputs[2]]
    with driver(batch=True, fp8=False) as live:
        results: list[Any] = make_all(live, [live.request(**one) for one in given], tmp_path / "made")
    assert isinstance(results[1], RequestError)
    assert n_loads([results[0], results[2]]) == 1


def test_a_silent_video_is_one_failure_and_the_batch_goes_on(
    driver: Driver, inputs: list[dict[str, Any]], tmp_path: Path
) -> None:
    with driver("silent", "at:2", batch=True, fp8=False) as live:
        results: list[Any] = make_all(live, [live.request(**one) for one in inputs], tmp_path / "made")
    assert isinstance(results[1], GenerationError)
    assert results[1].kind == "bad_output"
    assert n_loads([results[0], results[2]]) == 1


@pytest.mark.parametrize(
    ("faults", "kind", "words"),
    [
        (("oom:0", "at:2"), "out_of_memory", "out of GPU memory"),
        (("die:2",), "crashed", "ended with status 1"),
        (("hang", "at:2"), "stalled", "printed nothing for 10 s"),
        (("no_file", "at:2"), "no_output", "could not write the picture"),
    ],
)
def test_a_batch_that_breaks_off_keeps_what_is_done_and_the_rest_is_begun_anew(
    faults: tuple[str, ...],
    kind: str,
    words: str,
    driver: Driver,
    inputs: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    settings = {"stall_limit_s": 10.0} if kind == "stalled" else {}
    with driver(*faults, batch=True, fp8=False, **settings) as live:
        requests = [live.request(**one) for one in [*inputs[:2], inputs[0]]]
        results: list[Any] = make_all(live, requests, tmp_path / "made")
    assert (results[0].n_clips, results[2].n_clips) == (1, 1)
    assert isinstance(results[1], GenerationError)
    assert results[1].kind == kind
    assert words in str(results[1])
    assert n_loads([results[0], results[2]]) == 2
    assert sorted(path.name for path in (tmp_path / "made").rglob("*.mp4")) == ["video.mp4"] * 2
    assert left_of(tmp_path) == []


def test_closing_ends_a_batch_under_way(driver: Driver, inputs: list[dict[str, Any]], tmp_path: Path) -> None:
    live = driver("hang", "at:2", batch=True, fp8=False)
    requests = [live.request(**given) for given in inputs]
    live.announce_upcoming(requests, tmp_path)
    live.generate(requests[0], tmp_path / "out.mp4")
    assert left_of(tmp_path)
    live.close()
    assert left_of(tmp_path) == []
    assert not list(tmp_path.glob(".batch-*"))


def test_a_kill_of_the_batch_is_a_failure_of_the_video_in_the_making(
    driver: Driver, inputs: list[dict[str, Any]], tmp_path: Path
) -> None:
    with driver("hang", "at:2", batch=True, fp8=False) as live:
        requests = [live.request(**given) for given in inputs[:2]]
        live.announce_upcoming(requests, tmp_path)
        live.generate(requests[0], tmp_path / "1.mp4")
        for name in left_of(tmp_path):
            if "batch_eval" in command_line(pid := int(name.split()[0])):
                with contextlib.suppress(ProcessLookupError):  # one that went with its launcher
                    os.kill(pid, signal.SIGKILL)
        with pytest.raises(GenerationError):
            live.generate(requests[1], tmp_path / "2.mp4")
    assert (tmp_path / "1.mp4").is_file()
    assert not (tmp_path / "2.mp4").exists()
    assert left_of(tmp_path) == []


@pytest.mark.parametrize(
    ("settings", "parameters", "message"),
    [
        ({"fp8": True}, {}, "its batch script has no fp8"),
        ({"fp8": False, "script": ["bash", "x.sh"]}, {}, "cannot be a script of yours"),
        ({"fp8": False}, {"options": {"fp8": True}}, "its batch script has no fp8: set batch to false"),
        ({"fp8": False}, {"enable_online_decode": True}, "its batch script decodes at the end"),
    ],
)
def test_what_its_batch_script_cannot_do_is_refused(
    settings: dict[str, Any],
    parameters: dict[str, Any],
    message: str,
    driver: Driver,
    inputs: list[dict[str, Any]],
) -> None:
    def attempt() -> None:
        live = driver(batch=True, **settings)
        live.check(live.request(**inputs[0], **parameters))

    with pytest.raises(RequestError, match=message):
        attempt()


def test_the_command_line_of_a_batch(driver: Driver, inputs: list[dict[str, Any]], tmp_path: Path) -> None:
    live = driver(batch=True, fp8=False)
    plan = live.dry_run(live.request(**inputs[1]), tmp_path / "out.mp4")
    assert "minimal_inference/batch_eval.py" in plan.argv
    assert not {"--fp8", "--enable_online_decode"} & set(plan.argv)
    assert any("nods: yes" in step for step in plan.steps)
