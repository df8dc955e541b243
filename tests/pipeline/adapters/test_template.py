"""Argument templates: a value stays one argument, whatever is in it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.template import check_used, fill, placeholders
from pipeline.errors import RequestError
from pipeline.request import build_request


@given(value=st.text())
def test_a_value_is_put_in_as_it_is(value: str) -> None:
    assert fill("--prompt={prompt}!", {"prompt": value}) == f"--prompt={value}!"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (25.0, "25"),
        (29.97, "29.97"),
        (0.0, "0"),
        (4, "4"),
        (True, "True"),
        (False, "False"),
        ([1, "ü"], '[1, "ü"]'),
    ],
)
def test_values_become_words_that_programs_read(value: object, word: str) -> None:
    assert fill("{x}", {"x": value}) == word  # type: ignore[dict-item]


@given(value=st.dictionaries(st.text(), st.integers() | st.none() | st.text()))
def test_a_mapping_is_json(value: dict[str, int | str | None]) -> None:
    assert json.loads(fill("{x}", {"x": value})) == value  # type: ignore[dict-item]


def test_doubled_braces_are_braces() -> None:
    assert fill('{{"size": "{size}"}}', {"size": "384*256"}) == '{"size": "384*256"}'
    assert placeholders("{{size}} {size} {size}") == ["size", "size"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{size", "expected '}'"),
        ("size}", "Single '}'"),
        ("{}", "only a name may stand"),
        ("{0}", "only a name may stand"),
        ("{size.__class__}", "only a name may stand"),
        ("{size[0]}", "only a name may stand"),
        ("{fps:.2f}", "only a name may stand"),
        ("{size!r}", "only a name may stand"),
    ],
)
def test_only_names_stand_between_braces(template: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        placeholders(template)


@pytest.mark.parametrize("values", [{}, {"image": None}])
def test_a_missing_value_is_named(values: dict[str, None]) -> None:
    with pytest.raises(RequestError, match=r"needs \{image\} in 'i=\{image\}', and the request has no image"):
        fill("i={image}", values)


@pytest.mark.parametrize(
    ("parameters", "used"),
    [
        ({"sample_steps": 3}, {"sample_steps"}),
        ({"sample_steps": 4}, set()),  # the default asks for nothing
        ({"size": "688*368"}, {"width", "height"}),
        ({"text": "Hi", "language": "en-us", "voice": "f3"}, {"audio"}),
        ({"text": "Hi", "language": "cmn"}, {"text", "language"}),
        ({"options": {"gpus": 4}}, {"gpus"}),
    ],
)
def test_what_the_program_sees_may_be_asked(parameters: dict[str, object], used: set[str]) -> None:
    check_used(build_request(parameters), used)


@pytest.mark.parametrize(
    ("parameters", "used", "message"),
    [
        ({"sample_steps": 3}, {"size"}, r"sample_steps is 3, but the command has no \{sample_steps\}"),
        ({"audio": "a.wav"}, {"text"}, r"audio is 'a.wav', but the command has no \{audio\}"),
        ({"text": "Hi", "voice": "f3"}, {"text"}, "voice is 'f3', but"),
        ({"language": "de"}, {"audio"}, "language is 'de', but"),
        ({"options": {"gpus": 4}}, {"gpu"}, "no option 'gpus'"),
        ({"options": {"size": "1*1"}}, {"size"}, "no option 'size'"),
    ],
)
def test_what_the_program_would_never_see_is_refused(
    parameters: dict[str, object], used: set[str], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        check_used(build_request(parameters), used)
