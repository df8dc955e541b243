"""A brand file: what it says is what is read, and each mistake is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evalkit.brands.guidelines import read_brand
from evalkit.options import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    WriteBrand = Callable[..., Path]


def test_a_whole_brand_is_read(write_brand: WriteBrand) -> None:
    brand = read_brand(
        write_brand(
            colors='["#1456A0", {hex: "#fa0", name: sun, tolerance: 3}]',
            text="the mark of Kite on a wall",
            place="top right",
            worn="true",
            words="[Kite, Flies higher]",
        )
    )
    assert brand.name == "Kite"
    assert [color.hex for color in brand.colors] == ["#1456a0", "#ffaa00"]
    assert [color.rgb for color in brand.colors] == [(20, 86, 160), (255, 170, 0)]
    assert [color.tolerance for color in brand.colors] == [5.0, 3.0]
    assert brand.text == "the mark of Kite on a wall"
    assert brand.place is not None
    assert (brand.place.left, brand.place.top, brand.place.right, brand.place.bottom) == (0.5, 0.0, 1.0, 0.5)
    assert brand.worn
    assert brand.words == ["Kite", "Flies higher"]
    (logo,) = brand.logos
    assert logo.shape[1] == 512
    assert logo.shape[0] == pytest.approx(512 * 40 / 60, abs=2)


@pytest.mark.parametrize(
    ("words", "box"),
    [
        ("top", (0, 0, 1, 0.5)),
        ("left", (0, 0, 0.5, 1)),
        ("Bottom-Left", (0, 0.5, 0.5, 1)),
        ("center", (0.25, 0.25, 0.75, 0.75)),
        ("{left: 0.1, top: 0.2, right: 0.3, bottom: 0.4}", (0.1, 0.2, 0.3, 0.4)),
    ],
)
def test_a_place_is_words_or_a_box(write_brand: WriteBrand, words: str, box: tuple[float, ...]) -> None:
    place = read_brand(write_brand(place=words)).place
    assert place is not None
    assert (place.left, place.top, place.right, place.bottom) == box


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            {"colors": '["blue"]'},
            r"colors\.0\.hex is 'blue'; .*'blue' is not a colour; write it as in \"#0b5fff\"",
        ),
        ({"colors": '["#12345"]'}, r"'#12345' is not a colour"),
        ({"colors": "[123456]"}, r"colors\.0"),
        ({"colors": "\n  - #1456a0"}, "put it in quotes, .* for # begins a comment"),
        ({"colors": '["#fa0", "#FFAA00"]'}, "#ffaa00 is there twice"),
        (
            {"colors": '[{hex: "#fa0", name: a}, {hex: "#0af", name: a}]'},
            "two colours are called 'a'",
        ),
        ({"colors": '[{hex: "#fa0", tolerance: 0}]'}, r"colors\.0\.tolerance is 0; allowed: ΔE00, above 0"),
        ({"place": "upstairs"}, "'upstairs' is not a place in the picture; allowed: top left"),
        ({"place": "top bottom"}, "'top bottom' is not a place"),
        ({"place": "{left: 0.5, top: 0, right: 0.4, bottom: 1}"}, "the box is empty"),
        ({"logos": "[]"}, "logos is .*allowed: a list of 1 to 16 picture files"),
        ({"logos": "[kite.svg, moon.svg]"}, r"logos\.1: there is no file .*moon\.svg"),
        ({"logos": "[kite.svg, kite.svg]"}, "has the same content as one before it"),
        ({"logo": "[kite.svg]"}, "there is no option 'logo'; did you mean 'logos'"),
        ({"name": '""'}, "name is ''"),
    ],
)
def test_a_mistake_is_named(write_brand: WriteBrand, lines: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_brand(write_brand(**lines))


def test_every_drawing_that_cannot_be_used_is_named(write_brand: WriteBrand) -> None:
    path = write_brand(logos="[a.png, b.svg]")
    with pytest.raises(ConfigError) as caught:
        read_brand(path)
    assert len(str(caught.value).splitlines()) == 2


def test_what_counts_is_content(write_brand: WriteBrand, tmp_path: Path) -> None:
    content = read_brand(write_brand()).content
    path = write_brand(logos="[other.svg]")
    (tmp_path / "kite.svg").rename(tmp_path / "other.svg")
    assert read_brand(path).content == content
    drawing = tmp_path / "other.svg"
    drawing.write_text(drawing.read_text("utf-8").replace("#f2a900", "#f2a901"), "utf-8")
    assert read_brand(path).content != content
    assert read_brand(write_brand(worn="true")).content != content
