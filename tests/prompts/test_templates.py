"""Templates fill their slots, name all four parts, and the reference generator follows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalkit.errors import UsageError
from evalkit.prompts.check import LANGUAGES, check_prompt
from evalkit.prompts.templates import load_template, template_names


def test_there_are_templates_for_three_trades() -> None:
    assert template_names() == ["banking", "ecommerce", "telecom"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", template_names())
def test_a_template_names_all_four_parts_and_fills_its_slots(name: str, language: str) -> None:
    template = load_template(name)
    values = {slot: f"«{slot}»" for slot in template.slots}
    filled = template.fill(values, language)
    assert all(value in filled for value in values.values())
    assert "{" not in filled
    assert "\n" not in filled
    assert check_prompt(template.fill({}, language)).missing == ()


def test_a_value_is_put_in_as_it_is() -> None:
    assert r"{age} \1" in load_template("banking").fill({"brand": r"{age} \1"})


@pytest.mark.parametrize(
    ("values", "language", "said"),
    [
        ({"brnad": "Acme"}, "en", "no slot is named 'brnad'; did you mean 'brand'"),
        ({"brand": " "}, "en", "the slot 'brand' is empty"),
        ({}, "fr", "no template in 'fr'"),
    ],
)
def test_a_wrong_filling_is_refused(values: dict[str, str], language: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_template("banking").fill(values, language)


def test_an_unknown_template_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no template is named 'bank'; did you mean 'banking'"):
        load_template("bank")


@pytest.mark.parametrize(
    ("name", "scene"), [("banking", "bank"), ("ecommerce", "shop"), ("telecom", "office")]
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_reference_generator_follows_a_template(name: str, scene: str, language: str) -> None:
    from pipeline.reference.channels import STYLES
    from pipeline.reference.style import read_scene, read_style, wants_brand

    prompt = load_template(name).fill({"brand": "Acme"}, language)
    asked = dict(zip(STYLES, read_style(prompt) - read_style(""), strict=True))
    assert asked["smile"] > 0
    assert asked["nod"] > 0
    assert read_scene(prompt) == scene
    assert wants_brand(prompt)


@pytest.mark.slow
@pytest.mark.parametrize("name", template_names())
def test_the_reference_generator_makes_a_video_of_a_template(name: str, tmp_path: Path) -> None:
    from evalkit.media import probe
    from pipeline.reference.generator import ReferenceGenerator

    generator = ReferenceGenerator(device="cpu")
    generator.load()
    request = generator.request(
        text="Good morning, how can I help you?",
        language="en",
        prompt=load_template(name).fill({"brand": "Acme"}),
        size="256*256",
        num_clip=1,
    )
    video = tmp_path / "video.mp4"
    try:
        result = generator.generate(request, video, None)
    finally:
        generator.close()
    facts = probe(str(video), None)
    assert facts.video is not None
    assert facts.audio is not None
    assert (facts.video.width, facts.video.height) == (256, 256)
    assert result.duration_s > 1
