"""Clips held against a policy in tests: each clip is measured once, and what fails is said in words."""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import pickle
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalkit import registry
from evalkit.api.clips import evaluate
from evalkit.decisions.clip_verdicts import (
    ClipGrade,
    ClipLimit,
    ClipVerdict,
    judge_result,
    why_not_of_a_clip,
)
from evalkit.decisions.policy import Policy, Rule, load_policy
from evalkit.errors import UsageError
from evalkit.evaluators.load import find_incomplete
from evalkit.formatting import moment_text, three_digits
from evalkit.measuring.pool import ClipPath, expand_paths
from evalkit.measuring.results import ClipResult, Report
from evalkit.reports.clips_page import render_clips
from evalkit.views.clips import ClipsView, clips_view
from evalkit.visuals.page import PageFrame, link_from
from pipeline.options import json_text

_JUDGED = ".judged"
_N_MOMENTS = 2


@dataclass(frozen=True)
class Gate:
    """One rule of a policy for one clip.

    Parameters
    ----------
    clip : str
        Path.
    policy : str
        Bundled name or file.
    rule, kind : str
        Name of the rule, and whether it is hard or soft.
    limit : str
        In words.
    """

    clip: str
    policy: str
    rule: str
    kind: str
    limit: str

    @property
    def label(self) -> str:
        """What a test is called: rule and limit."""
        return f"{self.rule} {self.limit}" + (" (soft)" if self.kind == "soft" else "")


class ClipChecks:
    """Measures and judges clips, each once however often it is asked for, also by several processes.

    Parameters
    ----------
    folder : Path
        Where what was measured is kept for the other processes of this session; nobody else may write there: it is made when
        first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._measured: dict[str, ClipResult] = {}

    def evaluate(self, *clips: ClipPath, **settings: Any) -> Report:
        """Measure clips.

        Parameters
        ----------
        *clips : path
            Video files, folders of them, or patterns.
        **settings
            As of `evalkit.evaluate`: ``evaluators``, ``settings``, ``brand``, ``script`` with ``language`` …

        Raises
        ------
        UsageError
            As `evalkit.evaluate`.
        """
        results = [self._measure(path, settings) for path in expand_paths(clips)]
        for result in results:
            self._keep(None, result)
        return Report(tuple(results))

    def judge(self, clip: ClipPath, policy: str | Path, **settings: Any) -> ClipVerdict:
        """Hold a clip against a policy; only what the policy names is measured, unless ``evaluators`` says otherwise.

        Parameters
        ----------
        clip : path
        policy : str or Path
            Bundled name or file.
        **settings
            As of `evaluate`.

        Raises
        ------
        UsageError
            If there is no such clip or policy, or as `evalkit.evaluate`.
        """
        return self._judge(clip, policy, settings)[1]

    def assert_passes(self, clip: ClipPath, policy: str | Path, **settings: Any) -> ClipVerdict:
        """Fail unless a clip meets every hard rule of a policy that speaks of single clips; what is not measured fails too.

        Parameters
        ----------
        clip, policy, **settings
            As of `judge`.

        Raises
        ------
        AssertionError
            With every rule that is not met: value, limit, worst moments and why the limit is there.
        UsageError
            As `judge`.
        """
        __tracebackhide__ = True
        result, verdict = self._judge(clip, policy, settings)
        if not verdict.is_passed:
            failing = [
                one for one in verdict.limits if one.rule.kind == "hard" and one.grade is not ClipGrade.WITHIN
            ]
            told = [describe_miss(one, result, settings) for one in failing]
            raise AssertionError("\n".join([f"{clip} and {policy}: {verdict.sentence()}", *told]))
        return verdict

    def check(self, gate: Gate, settings: Mapping[str, Any]) -> tuple[ClipLimit | None, str]:
        """Hold a clip against one rule.

        Returns
        -------
        ClipLimit or None
            None where the clip could not be measured at all.
        str
            What is wrong, in words; empty where it is met.
        """
        result, verdict = self._judge(gate.clip, gate.policy, settings)
        if verdict.error:
            return None, verdict.sentence()
        (limit,) = (one for one in verdict.limits if (one.rule.name, one.rule.kind) == (gate.rule, gate.kind))
        return limit, "" if limit.grade is ClipGrade.WITHIN else describe_miss(limit, result, settings)

    def write_report(self, path: Path) -> list[Path]:
        """Write what this session's processes measured and judged; return what was written, nothing where nothing was.

        Parameters
        ----------
        path : Path
            ``….html``, ``….json``, or a folder that gets both. A page shows one policy: further ones get pages of their own.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        kept = sorted(self._folder.glob(f"*{_JUDGED}"))
        if not kept:
            return []
        by_policy: dict[str, tuple[Policy | None, dict[str, ClipResult]]] = {}
        for file in kept:
            name, policy, result = pickle.loads(file.read_bytes())  # noqa: S301 - this session's own, in a folder of its own
            by_policy.setdefault(name, (policy, {}))[1][result.clip] = result
        if any(name for name in by_policy):
            by_policy.pop("", None)
        is_folder = path.suffix.lower() not in {".html", ".json"}
        views = [clips_view(results.values(), policy) for policy, results in by_policy.values()]
        written = []
        if is_folder or path.suffix.lower() == ".html":
            page = path / "clips.html" if is_folder else path
            written += [_write_page(view, page, number) for number, view in enumerate(views, start=1)]
        if is_folder or path.suffix.lower() == ".json":
            file = path / "clips.json" if is_folder else path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json_text({"policies": [view.to_dict() for view in views]}), "utf-8")
            written.append(file)
        return written

    def _judge(
        self, clip: ClipPath, policy: str | Path, settings: Mapping[str, Any]
    ) -> tuple[ClipResult, ClipVerdict]:
        rules = load_policy(str(policy))
        wanted = dict(settings)
        wanted.setdefault("evaluators", needed_evaluators(rules))
        paths = expand_paths([clip])
        if len(paths) != 1:
            raise UsageError(f"{clip} is {len(paths)} videos; one is needed")
        result = self._measure(paths[0], wanted)
        self._keep(rules, result)
        return result, judge_result(rules, result)

    def _measure(self, path: str, settings: Mapping[str, Any]) -> ClipResult:
        """Return what is measured on a clip; by this call, or by an earlier one of any process."""
        try:
            stat = Path(path).stat()
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}; a video is needed") from None
        told = [str(Path(path).absolute()), stat.st_size, stat.st_mtime_ns, sorted(settings.items())]
        key = hashlib.sha256(repr(told).encode()).hexdigest()[:24]
        if key in self._measured:
            return self._measured[key]
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._folder / f"{key}.measured"
        with (self._folder / f"{key}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                (result,) = evaluate(path, **{"isolate": True, **settings}).clips
                _write(file, pickle.dumps(result))
        self._measured[key] = pickle.loads(file.read_bytes())  # noqa: S301 - this session's own, in a folder of its own
        return self._measured[key]

    def _keep(self, policy: Policy | None, result: ClipResult) -> None:
        """Remember what was judged, for the report."""
        name = "" if policy is None else policy.content_hash
        key = hashlib.sha256(f"{name} {result.clip}".encode()).hexdigest()[:24]
        file = self._folder / f"{key}{_JUDGED}"
        if not file.exists():
            _write(file, pickle.dumps((name, policy, result)))


def needed_evaluators(policy: Policy) -> list[str]:
    """Return the installed evaluators that give what a policy asks of single clips; all of them where it asks for none."""
    families = dict.fromkeys(rule.metric.family for rule in rules_of_a_clip(policy))
    installed = registry.names(registry.EVALUATORS)
    complete = [name for name in installed if name not in find_incomplete(installed)]
    return [name for name in families if name in complete] or complete


def rules_of_a_clip(policy: Policy) -> list[Rule]:
    """Return the rules that a single video file can be held against: not those of many clips, people, or how it was made."""
    return [
        rule
        for rule in policy.rules
        if why_not_of_a_clip(rule) is None and rule.metric.family not in {"profile", "rating"}
    ]


def list_gates(clips: Iterable[str], policy: str) -> Iterator[Gate]:
    """List the rules of a policy for each clip; no clip is opened.

    Raises
    ------
    UsageError
        If there is no such policy, or none of its rules speaks of a single clip.
    """
    rules = rules_of_a_clip(load_policy(policy))
    if not rules:
        raise UsageError(
            f"no rule of the policy {policy} speaks of a single clip; evalkit signoff judges many"
        )
    for clip in clips:
        for rule in rules:
            yield Gate(clip, policy, rule.name, rule.kind, _limit_of_a_clip(rule))


def _limit_of_a_clip(rule: Rule) -> str:
    """Write what a rule asks of one clip in numbers, the same in every language and version: it names a test."""
    low, high = rule.clip_limits
    if math.isinf(low):
        return f"at most {high:g}"
    return f"at least {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"


def describe_miss(limit: ClipLimit, result: ClipResult, settings: Mapping[str, Any]) -> str:
    """Say in some lines what a clip misses: value and limit, what the value rests on, its worst moments, and why the limit."""
    rule, metric = limit.rule, limit.rule.metric
    lines = [f"{metric.name}: {limit.text()}" + (" (a warning)" if rule.kind == "soft" else "")]
    measured = next((one for one in result.measurements if one.metric.name == metric.name), None)
    if measured is None:
        lines.append(f"  {_why_unmeasured(metric.family, settings)}")
    elif measured.value is not None:
        rests_on = [f"n = {measured.n}"]
        if measured.interval is not None:
            low, high = (three_digits(end) for end in measured.interval)
            rests_on.append(f"95 % interval {low} to {high}")
        if measured.coverage is not None:
            rests_on.append(f"{100 * measured.coverage:.0f} % of the clip measured")
        lines.append(f"  measured: {', '.join(rests_on)}")
        lines += [
            f"  worst moment: {moment_text(metric.name, metric.unit, *moment)}"
            for moment in measured.moments[:_N_MOMENTS]
        ]
    lines.append(f"  why the limit: {rule.why}")
    return "\n".join(lines)


def _why_unmeasured(family: str, settings: Mapping[str, Any]) -> str:
    """Say why nobody measured a family of metrics."""
    installed = registry.names(registry.EVALUATORS)
    if family not in installed:
        return f"no evaluator {family!r} is installed"
    if obstacle := find_incomplete([family]).get(family):
        return str(obstacle)
    chosen = settings.get("evaluators")
    return (
        f"{family} is not among the evaluators that were chosen ({chosen})"
        if chosen
        else "nobody measured it"
    )


def _write_page(view: ClipsView, page: Path, number: int) -> Path:
    """Write the page of a policy; the first has the name that was asked for."""
    own = page if number == 1 else page.with_stem(f"{page.stem}_{number}")
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(render_clips(view, frame=PageFrame(link=link_from(own.parent))), "utf-8")
    return own


def _write(file: Path, content: bytes) -> None:
    """Write a file of the session whole."""
    handle, name = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
    Path(name).replace(file)
