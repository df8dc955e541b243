"""pytest: videos as tests, one for each rule of a policy, and the fixture `evalkit`. See docs/pytest.md.

It is loaded in every pytest run where evalkit is installed, so it imports nothing of evalkit before a test asks for it.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from fnmatch import fnmatch
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from evalkit.api.checks import ClipChecks, Gate
    from evalkit.decisions.clip_verdicts import ClipLimit

_VIDEOS = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v"}
_FOLDER = "evalkit_folder"
_MARK = "evalkit"
_CHECKS = pytest.StashKey["ClipChecks"]()
_PLACE = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare options and settings."""
    group = parser.getgroup("evalkit", "videos of talking avatars")
    group.addoption(
        "--evalkit-policy", metavar="POLICY", help="Test videos by this policy: bundled name or file."
    )
    group.addoption("--evalkit-brand", metavar="FILE", help="A brand's YAML file, for the metrics of brand.")
    group.addoption(
        "--evalkit-report",
        metavar="PATH",
        help="Write what was measured and judged: FILE.html, FILE.json, or a folder that gets both.",
    )
    parser.addini("evalkit_policy", "policy that videos are tested by: bundled name or file", default="")
    parser.addini(
        "evalkit_clips", "patterns of the videos that are tests (all videos)", type="args", default=[]
    )
    parser.addini("evalkit_brand", "a brand's YAML file, for the metrics of brand", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark, and choose where what is measured is shared by the processes of a session."""
    config.addinivalue_line(
        "markers",
        "evalkit(clips, policy, **settings): a test for each of these videos and rule of the policy, with the fixture "
        "evalkit_gate",
    )
    given = getattr(config, "workerinput", {}).get(_FOLDER)
    config.stash[_PLACE] = Path(given or Path(tempfile.gettempdir()) / f"evalkit-{uuid.uuid4().hex}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let a worker of pytest-xdist share what is measured."""
    node.workerinput[_FOLDER] = str(node.config.stash[_PLACE])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what was shared."""
    if not _is_worker(config) and _PLACE in config.stash:
        shutil.rmtree(config.stash[_PLACE], ignore_errors=True)


# --- videos as tests -----------------------------------------------------------------------------------------------------


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take a video for a file of tests, where a policy is set."""
    if file_path.suffix.lower() not in _VIDEOS or not _policy(parent.config):
        return None
    patterns = parent.config.getini("evalkit_clips")
    is_named = any(_is_of(argument, file_path) for argument in parent.config.invocation_params.args)
    if (
        patterns
        and not is_named
        and not any(_fits(file_path, pattern, parent.config) for pattern in patterns)
    ):
        return None
    return ClipFile.from_parent(parent, path=file_path)


class ClipFile(pytest.File):
    """A video: its tests are the rules of the policy."""

    def collect(self) -> Iterator[pytest.Item]:
        """List the rules; the video is not opened."""
        gates = _gates([str(self.path)], _policy(self.config))
        brand = self.config.getoption("evalkit_brand") or self.config.getini("evalkit_brand")
        settings = {"brand": _resolve(brand, self.config)} if brand else {}
        for gate in gates:
            yield GateItem.from_parent(self, name=gate.label, gate=gate, settings=settings)


class GateItem(pytest.Item):
    """One rule for one video."""

    def __init__(self, *, gate: Gate, settings: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gate = gate
        self.settings = settings

    def runtest(self) -> None:
        """Measure the video, where nobody has, and hold it against the rule."""
        _check(self, self.gate, self.settings)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what is wrong, without a traceback."""
        from evalkit.errors import EvalkitError

        if isinstance(excinfo.value, EvalkitError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Name the test in its report."""
        return self.path, None, f"{self.path.name}: {self.name}"


# --- tests of one's own --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def evalkit(pytestconfig: pytest.Config) -> ClipChecks:
    """Measure and judge videos: ``evalkit.assert_passes("clip.mp4", "release.yaml")``, ``evalkit.evaluate("clip.mp4")``."""
    return _checks(pytestconfig)


class EvalkitGate:
    """One rule for one video, in a test of one's own.

    Parameters
    ----------
    item : pytest.Item
    gate : Gate
    settings : dict
    """

    def __init__(self, item: pytest.Item, gate: Gate, settings: dict[str, Any]) -> None:
        self.clip = gate.clip
        self.rule = gate.rule
        self.limit = gate.limit
        self._item = item
        self._gate = gate
        self._settings = settings

    def check(self) -> ClipLimit | None:
        """Fail unless the rule is met; return how the video lies to it."""
        __tracebackhide__ = True
        return _check(self._item, self._gate, self._settings)


@pytest.fixture
def evalkit_gate(request: pytest.FixtureRequest) -> EvalkitGate:
    """One rule of the policy for one video of the mark ``@pytest.mark.evalkit(clips=…, policy=…)``; see its `check`."""
    if not hasattr(request, "param"):
        pytest.fail("evalkit_gate needs @pytest.mark.evalkit(clips=…, policy=…)", pytrace=False)
    gate, settings = request.param
    return EvalkitGate(request.node, gate, settings)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test for each video and rule of the mark."""
    mark = metafunc.definition.get_closest_marker(_MARK)
    if mark is None:
        return
    config, settings = metafunc.config, dict(mark.kwargs)
    clips, policy = settings.pop("clips", None), settings.pop("policy", None)
    if mark.args or clips is None or policy is None:
        pytest.fail("the mark is evalkit(clips=…, policy=…, **settings)", pytrace=False)
    if "evalkit_gate" not in metafunc.fixturenames:
        pytest.fail("a test with the mark evalkit takes the fixture evalkit_gate", pytrace=False)
    patterns = [clips] if isinstance(clips, str | Path) else list(clips)
    files = [file for pattern in patterns for file in _matching(str(pattern), config)]
    gates = list(_gates(files, _resolve(str(policy), config)))
    metafunc.parametrize(
        "evalkit_gate",
        [(gate, settings) for gate in gates],
        indirect=True,
        ids=[f"{_relative(gate.clip, config)}::{gate.label}" for gate in gates],
    )


# --- the report ----------------------------------------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Write the report, and say which rules no single video can show."""
    wanted = config.getoption("evalkit_report")
    if wanted and not _is_worker(config):
        try:
            written = _checks(config).write_report(config.invocation_params.dir / wanted)
        except OSError as error:
            terminalreporter.write_line(f"evalkit: {wanted} cannot be written: {error.strerror}", red=True)
        else:
            terminalreporter.write_line(
                f"evalkit: wrote {', '.join(map(str, written))}"
                if written
                else "evalkit: nothing was measured"
            )


def _check(item: pytest.Item, gate: Gate, settings: dict[str, Any]) -> ClipLimit | None:
    """Hold a video against a rule: a hard one that is not met fails, a soft one is told."""
    __tracebackhide__ = True
    limit, wrong = _checks(item.config).check(gate, settings)
    if limit is not None and limit.value is not None:
        item.user_properties.append((gate.rule, limit.value))
    if wrong and gate.kind == "hard":
        pytest.fail(wrong, pytrace=False)
    if wrong:
        item.add_report_section("call", "evalkit", wrong)
    return limit


def _checks(config: pytest.Config) -> ClipChecks:
    if _CHECKS not in config.stash:
        from evalkit.api.checks import ClipChecks

        config.stash[_CHECKS] = ClipChecks(config.stash[_PLACE])
    return config.stash[_CHECKS]


def _gates(clips: list[str], policy: str) -> list[Gate]:
    from evalkit.api.checks import list_gates
    from evalkit.errors import EvalkitError

    try:
        return list(list_gates(clips, policy))
    except EvalkitError as error:
        raise pytest.Collector.CollectError(f"evalkit: {error}") from None


def _policy(config: pytest.Config) -> str:
    """Return the policy that videos are tested by; empty where none is set."""
    given = config.getoption("evalkit_policy")
    if given:
        beside = config.invocation_params.dir / given
        return str(beside) if beside.is_file() else str(given)
    return _resolve(config.getini("evalkit_policy"), config)


def _resolve(name: str, config: pytest.Config) -> str:
    """Return a file by its place in the project; a name that is none, such as a bundled policy's, as it is."""
    inside = config.rootpath / name
    return str(inside) if name and inside.is_file() else name


def _matching(pattern: str, config: pytest.Config) -> list[str]:
    found = sorted(glob(str(config.rootpath / pattern), recursive=True))  # noqa: PTH207 - a pattern may be absolute
    files = [
        str(file)
        for one in map(Path, found)
        for file in (sorted(one.iterdir()) if one.is_dir() else [one])
        if file.suffix.lower() in _VIDEOS
    ]
    if not files:
        raise pytest.Collector.CollectError(f"evalkit: no video is at {pattern!r}, in {config.rootpath}")
    return files


def _fits(path: Path, pattern: str, config: pytest.Config) -> bool:
    return fnmatch(_relative(str(path), config), pattern) or fnmatch(path.name, pattern)


def _is_of(argument: str, path: Path) -> bool:
    """Say whether an argument of the command line is this file, or a test in it."""
    return Path(str(argument).partition("::")[0]).name == path.name


def _relative(clip: str, config: pytest.Config) -> str:
    path = Path(clip)
    inside = path.relative_to(config.rootpath) if path.is_relative_to(config.rootpath) else path
    return inside.as_posix()


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
