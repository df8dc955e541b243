"""Plug-ins by name: found, not found, twice, broken."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from pipeline import plugins
from pipeline.errors import RequestError
from pipeline.plugins import ANSWERERS, GENERATORS, RECOGNISERS, SPEECH_ENGINES, list_plugins, load_plugin


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
    monkeypatch.setattr(plugins, "_read", lambda *_: tuple(points))
    with pytest.raises(RequestError, match=message):
        load_plugin(ANSWERERS, "x")


def test_what_is_installed_meanwhile_is_seen_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    assert "late" not in list_plugins(ANSWERERS)
    info = tmp_path / "late-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: late\nVersion: 1\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[{ANSWERERS}]\nlate = late:Late\n", "utf-8")
    assert "late" in list_plugins(ANSWERERS)
