"""What all tests share: real media where it is, made media everywhere, and a cache of their own."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalkit.testing.talking_face import TalkingFace


pytest_plugins = [
    "tests.fixtures.foreign_executor",
    "tests.fixtures.probe_evaluator",
    "tests.fixtures.stand_in_generator",
]

hypothesis.settings.register_profile(
    "evalkit", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("evalkit")  # the same examples every time, and no stopwatch


def pytest_configure() -> None:
    """Let Ctrl-C reach the programs that tests start, even where a background job runs the tests and ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow; run with --slow"))


@pytest.fixture(scope="session")
def media_folder() -> Path:
    """Return the folder of real clips; skip where it is absent."""
    beside = Path(__file__).parents[2] / "shared" / "media"
    folder = Path(os.environ.get("EVALKIT_MEDIA", beside))
    if not (folder / "INDEX.csv").is_file():
        pytest.skip(f"no real clips: {folder} is absent (EVALKIT_MEDIA names another place)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the landmark cache of the person who runs the tests out of them."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVALKIT_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session")
def talking_face(tmp_path_factory: pytest.TempPathFactory) -> TalkingFace:
    """Return a portrait of 256x256 pixels that speaks for five seconds, mouth in step with the sound."""
    from evalkit.testing.talking_face import write_talking_face

    return write_talking_face(tmp_path_factory.mktemp("talking") / "face.mp4")


@pytest.fixture(scope="session")
def late_talking_face(tmp_path_factory: pytest.TempPathFactory) -> TalkingFace:
    """Return the same with a mouth that follows the sound by 160 ms."""
    from evalkit.testing.talking_face import write_talking_face

    return write_talking_face(tmp_path_factory.mktemp("talking") / "late_face.mp4", delay_ms=160.0)
