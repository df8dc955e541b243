"""Requests, results and events: what is allowed, what survives JSON, how clips are counted."""

from __future__ import annotations

import json
from fractions import Fraction
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import RequestError
from pipeline.events import Event
from pipeline.phonemes import Phoneme
from pipeline.request import GenerationRequest, build_request, check_files, count_clips
from pipeline.result import GenerationResult, Spoken


def test_25_s_at_16_fps_and_48_frames_is_9_clips() -> None:
    assert count_clips(25, fps=16, frames_per_clip=48) == 9  # 400 frames: 8 clips hold 384


@pytest.mark.parametrize(
    ("audio_s", "n_clips"),
    [(0.001, 1), (1.92, 1), (1.93, 2), (3.84, 2), (5.76, 3), (7.68, 4), (192.0, 100), (1920.0, 1000)],
)
def test_a_whole_number_of_clips_is_not_rounded_up(audio_s: float, n_clips: int) -> None:
    assert count_clips(audio_s, fps=25, frames_per_clip=48) == n_clips


@given(n_samples=st.integers(1, 16000 * 3600), fps=st.integers(1, 120), frames=st.integers(1, 1000))
def test_clips_cover_the_sound_with_none_to_spare(n_samples: int, fps: int, frames: int) -> None:
    exact = Fraction(n_samples, 16000) * fps / frames
    assert count_clips(n_samples / 16000, fps, frames) in {
        ceil(exact),
        max(1, ceil(exact - Fraction(1, 10**6))),
    }


@pytest.mark.parametrize("audio_s", [0.0, -1.0, float("nan"), float("inf")])
def test_clips_of_no_sound_cannot_be_counted(audio_s: float) -> None:
    with pytest.raises(RequestError, match="audio_s is"):
        count_clips(audio_s, 25, 48)


def test_num_clip_is_a_limit_and_not_a_stretch() -> None:
    assert build_request({"num_clip": 2}).n_clips(10.0) == 2
    assert build_request({"num_clip": 10000}).n_clips(10.0) == 6  # 250 frames: 5 clips hold 240
    assert build_request({}).n_clips(10.0) == 6


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"size": "384x256"}, r'size is \'384x256\'; allowed: "W\*H"'),
        ({"size": "385*256"}, "both even"),
        ({"size": "32*256"}, "from 64 to 4096"),
        ({"size": 384}, "size is 384"),
        ({"sample_steps": 0}, "sample_steps is 0; allowed: a whole number from 1"),
        ({"sample_steps": "4"}, "sample_steps is '4'"),
        ({"sample_steps": 4.5}, r"sample_steps is 4\.5"),
        ({"num_clip": True}, "num_clip is True"),
        ({"infer_frames": 0}, "infer_frames is 0"),
        ({"fps": 0}, "fps is 0; allowed: frames a second, from 1 to 120"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"sample_guide_scale": -0.1}, "sample_guide_scale is -0.1"),
        ({"base_seed": -1}, "base_seed is -1; allowed: a whole number from 0"),
        ({"offload_model": "True"}, "offload_model is 'True'; allowed: true or false"),
        ({"text": " … "}, "words to speak, at least one"),
        ({"text": "Hi", "audio": "a.wav"}, "give audio or text, not both"),
        ({"text": "Hi", "question": "Hi?"}, "give text or question, not both"),
        ({"question_audio": "a.wav", "question": "Hi?"}, "give question or question_audio, not both"),
        ({"question": "?"}, r"question is '\?'; allowed: a question in words, at least one"),
        ({"image": ""}, "image is ''; allowed: path of a picture"),
        ({"language": "en us"}, "language is 'en us'"),
        ({"options": {"a": float("inf")}}, r"options\.a is inf; numbers must be finite"),
        ({"options": {"a": object()}}, "options is not a plain value"),
        ({"sample_step": 4}, "no parameter 'sample_step'; did you mean 'sample_steps'"),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        build_request(parameters)


def test_every_mistake_has_its_line() -> None:
    with pytest.raises(RequestError) as caught:
        build_request({"size": "x", "fps": 0, "colour": "red"})
    assert len(str(caught.value).splitlines()) == 3


def test_paths_may_be_paths() -> None:
    assert build_request({"image": Path("face.png")}).image == "face.png"


def test_width_and_height_are_those_of_size() -> None:
    request = build_request({"size": "688*368"})
    assert (request.width, request.height) == (688, 368)


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        build_request({}).sample_steps = 3  # type: ignore[misc]


def test_the_names_and_defaults_are_pinned() -> None:
    assert build_request({}).to_dict() == {
        "size": "384*256",
        "num_clip": None,
        "infer_frames": 48,
        "fps": 25.0,
        "sample_steps": 4,
        "sample_guide_scale": 0.0,
        "enable_online_decode": False,
        "offload_model": None,
        "prompt": "",
        "image": None,
        "audio": None,
        "text": None,
        "question": None,
        "question_audio": None,
        "language": "en",
        "voice": None,
        "base_seed": 420,
        "brand_mark": None,
        "options": {},
    }


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    size=st.tuples(st.integers(32, 2048), st.integers(32, 2048)).map(lambda p: f"{2 * p[0]}*{2 * p[1]}"),
    fps=st.floats(1, 120),
    steps=st.integers(1, 1000),
    prompt=st.text(),
    options=st.dictionaries(st.text(), PLAIN, max_size=3),
)
def test_a_request_survives_json(
    size: str, fps: float, steps: int, prompt: str, options: dict[str, object]
) -> None:
    parameters = {"size": size, "fps": fps, "sample_steps": steps, "prompt": prompt, "options": options}
    request = build_request(parameters)
    again = GenerationRequest.from_dict(json.loads(json.dumps(request.to_dict())))
    assert again == request
    assert again.to_dict() == request.to_dict()


def test_a_result_survives_json() -> None:
    result = GenerationResult(
        generator="g",
        version="1",
        request=build_request({"text": "Hi", "options": {"a": [1, None]}}),
        video="x.mp4",
        width=384,
        height=256,
        fps=25.0,
        n_frames=48,
        duration_s=1.92,
        audio_duration_s=None,
        events=(Event(name="loaded", time_s=0.5), Event(name="clip", time_s=1.5, detail={"index": 0})),
        weights={"motion.pt": "ab12"},
        phonemes=(Phoneme("h", 0.0, 0.06), Phoneme("ˈaɪ", 0.06, 0.3)),
        spoken=Spoken(text="Hi", language="en", prompt="", phonemes=(Phoneme("h", 0.0, 0.06),)),
    )
    stored = json.loads(json.dumps(result.to_dict()))
    assert GenerationResult.from_dict(stored) == result
    del stored["phonemes"], stored["spoken"]["phonemes"]  # as stored before there were any
    old = GenerationResult.from_dict(stored)
    assert old.phonemes == ()
    assert old.spoken is not None
    assert old.spoken.phonemes == ()


def test_the_time_of_an_event_is_that_of_its_first() -> None:
    events = (Event(name="clip", time_s=1.5), Event(name="clip", time_s=2.5))
    made = {"width": 2, "height": 2, "fps": 1.0, "n_frames": 1, "duration_s": 1.0, "audio_duration_s": None}
    result = GenerationResult(
        generator="g",
        version="1",
        request=build_request({}),
        video="x",
        events=events,
        **made,  # type: ignore[arg-type]
    )
    assert result.time_of("clip") == 1.5
    assert result.time_of("loaded") is None


@pytest.mark.parametrize("event", [{"name": "Clip done", "time_s": 1.0}, {"name": "clip", "time_s": -1.0}])
def test_an_event_has_a_plain_name_and_comes_after_the_request(event: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Event.from_dict(event)


@pytest.mark.parametrize("name", ["image", "brand_mark"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=rf"{name} '.*gone.png': there is no such file"):
        check_files(build_request({name: tmp_path / "gone.png"}))
