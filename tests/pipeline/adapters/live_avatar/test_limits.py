"""What comes out of which portrait, against sizes computed with the repository's own formula."""

from __future__ import annotations

import pytest

from pipeline.adapters.live_avatar.limits import (
    SIZES,
    Size,
    count_clips,
    count_frames,
    fit_size,
    measure_portrait,
)

# Portrait, size asked for, size that comes out: a table made by running its own get_size_less_than_area.
TABLE = [
    ((720, 400), "720*400", "704*384"),
    ((720, 400), "704*384", "704*384"),
    ((720, 400), "688*368", "640*384"),
    ((720, 400), "384*256", "384*256"),
    ((720, 400), "832*480", "768*448"),
    ((400, 720), "720*400", "384*704"),
    ((400, 720), "704*384", "384*704"),
    ((400, 720), "688*368", "384*640"),
    ((400, 720), "384*256", "256*384"),
    ((400, 720), "832*480", "448*768"),
    ((828, 772), "720*400", "512*512"),
    ((828, 772), "704*384", "512*512"),
    ((828, 772), "688*368", "512*448"),
    ((828, 772), "384*256", "320*256"),
    ((828, 772), "832*480", "640*576"),
    ((764, 733), "704*384", "512*512"),
    ((764, 733), "384*256", "320*256"),
    ((2720, 1568), "720*400", "704*384"),
    ((2720, 1568), "688*368", "640*384"),
    ((2720, 1568), "384*256", "384*256"),
    ((2720, 1568), "832*480", "832*448"),
    ((1344, 768), "704*384", "704*384"),
    ((1344, 768), "832*480", "832*448"),
]


@pytest.mark.parametrize(("portrait", "asked", "comes_out"), TABLE)
def test_the_size_that_comes_out(portrait: tuple[int, int], asked: str, comes_out: str) -> None:
    width, height = map(int, asked.split("*"))
    assert str(fit_size(*portrait, width * height)) == comes_out


@pytest.mark.parametrize(("size", "n_tokens"), [((704, 384), 2640), ((832, 448), 3640), ((640, 576), 3600)])
def test_the_tokens_of_a_size(size: tuple[int, int], n_tokens: int) -> None:
    assert Size(*size).n_tokens == n_tokens


def test_four_of_its_sizes_run_whatever_the_portrait() -> None:
    portraits = [(width, height) for width in range(100, 3000, 290) for height in range(100, 3000, 310)]
    for cache in (2800, 3000):
        running = [
            name
            for name in SIZES
            if all(
                fit_size(*portrait, int(name.split("*")[0]) * int(name.split("*")[1])).n_tokens <= cache
                for portrait in portraits
                if portrait[0] * portrait[1] > 1_000_000
            )
        ]
        assert running == ["720*400", "704*384", "688*368", "384*256"]


def test_sides_are_multiples_of_64_within_the_area() -> None:
    for width in range(64, 2000, 61):
        size = fit_size(width, 700, 704 * 384)
        assert size.width % 64 == size.height % 64 == 0
        assert size.width * size.height <= 704 * 384


@pytest.mark.parametrize(
    ("audio_s", "num_clip", "n_clips", "n_frames"),
    [
        (10.0, None, 6, 250),  # int(10 / 1.92) + 1 clips, 285 frames, cut to the sound
        (10.0, 3, 3, 141),
        (1.0, None, 1, 25),
        (1.9, None, 1, 45),  # the sound is longer than what one clip keeps
        (1.93, None, 1, 45),  # 95 vectors of wav2vec, 57 frames of 30 a second: less than the 57.6 of a clip
        (1.96, None, 2, 49),
    ],
)
def test_clips_and_frames(audio_s: float, num_clip: int | None, n_clips: int, n_frames: int) -> None:
    assert count_clips(audio_s, 48, num_clip) == n_clips
    assert count_frames(audio_s, 48, n_clips) == n_frames


def test_a_portrait_is_measured_as_it_is_stored(tmp_path) -> None:
    from PIL import Image

    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter; its code does not
    Image.new("RGB", (400, 720)).save(path, exif=exif)
    assert measure_portrait(str(path)) == Size(400, 720)
