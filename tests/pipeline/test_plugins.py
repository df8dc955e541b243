"""Plug-ins by name: found, not found, twice, broken."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

import pytest

from pipeline import plugins
from pipeline.errors import RequestError
from pipeline.plugins import ANSWERERS, GENERATORS, RECOGNISERS, SPEECH_ENGINES, load_plugin


@pytest.mark.parametrize("group", [GENERATORS, RECOGNISERS, ANSWERERS, SPEECH_ENGINES])
def test_all_of_ours_load_and_bear_their_names(group: str) -> None:
    ours = [point for point in entry_points(group=group) if point.module.startswith("pipeline.")]
    assert ours
    for point in ours:
        assert load_plugin(group, point.name).name == point.name


def test_an_unknown_one_is_named_with_the_nearest() -> None:
    with pytest.raises(
        RequestError,
        match=r"no speech engine is named 'espeak'; did you mean 'espeak-ng'.*there are: .*openai",
    ):
        load_plugin(SPEECH_ENGINES, "espeak")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a:B", "c:D"], "more than one answerer is named 'x': a:B, c:D"),
        (["no_such_module:X"], r"the answerer 'x' \(no_such_module:X\) does not load: No module"),
    ],
)
def test_two_of_one_name_or_a_broken_one(
    monkeypatch: pytest.MonkeyPatch, values: list[str], message: str
) -> None:
    points = [EntryPoint("x", value, ANSWERERS) for value in values]
    monkeypatch.setattr(plugins, "entry_points", lambda **_: points)
    with pytest.raises(RequestError, match=message):
        load_plugin(ANSWERERS, "x")
