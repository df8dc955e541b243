"""What takes longer than a reader waits for: done by processes beside the server, which read and write nothing of a run.

Functions of this module are called in other processes, so they take and give plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from evalkit.app.live.catalogue import may_judge, records_key, stamp_of
from evalkit.app.live.places import find_leading_out, write_address
from evalkit.errors import EvalkitError, UsageError
from evalkit.views.run_digest import RunDigest, run_digest

if TYPE_CHECKING:
    from evalkit.analysis.table import ResultTable
    from evalkit.decisions.baseline import Baseline
    from evalkit.decisions.policy import Policy
    from evalkit.runs import Run
    from evalkit.types import Metric
    from evalkit.visuals.page import PageFrame

BAR = "<!-- here is the bar of the application -->"
"""Stands in a page where each reader's own bar comes; nothing that is escaped can hold it."""
THUMBNAIL_PX = 320
"""Longer side of a thumbnail: twice of what is shown, for dense screens."""


@dataclass(frozen=True)
class Site:
    """What is served, as other processes need to know it.

    Parameters
    ----------
    root : Path
        With all links followed.
    policies : tuple of Path
        That may judge beside those in the folder, links followed.
    """

    root: Path
    policies: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Digested:
    """A run in a few lines.

    Parameters
    ----------
    digest : RunDigest
    thumbnail : bytes
        JPEG; empty without a video that can be read.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"ser_json_bytes": "base64", "val_json_bytes": "base64"}

    digest: RunDigest
    thumbnail: bytes = b""


@dataclass(frozen=True)
class Page:
    """A page that was drawn.

    Parameters
    ----------
    text : str
        HTML, with `BAR` in it.
    problem : str
        Why there is none; empty where there is one.
    not_beside : str
        Why a sign-off could not be held beside the last release; empty where it was, or there is none. English.
    """

    text: str = ""
    problem: str = ""
    not_beside: str = ""


@dataclass(frozen=True)
class Wish:
    """Which page is asked for.

    Parameters
    ----------
    kind : {"run", "signoff", "compare"}
    folders : tuple of Path
        Of one run, or of two that are compared.
    language : str
    policy : str
        Named by the reader; empty for the run's own.
    where : mapping
        Parameters of the configuration.
    split : tuple of str
        Name, and two values, of a parameter by which one run is compared with itself.
    baseline : Path, optional
        Run of the last release, beside which a sign-off stands.
    baseline_where : mapping
        Parameters of its configuration.
    """

    kind: str
    folders: tuple[Path, ...]
    language: str
    policy: str = ""
    where: Mapping[str, str] = field(default_factory=dict)
    split: tuple[str, str, str] | None = None
    baseline: Path | None = None
    baseline_where: Mapping[str, str] = field(default_factory=dict)


def key_of(wish: Wish) -> str:
    """Return what changes with the records that a page shows, and with the policy that its reader named."""
    folders = (*wish.folders, *(() if wish.baseline is None else (wish.baseline,)))
    judge = repr(stamp_of(Path(wish.policy))) if wish.policy else ""
    return ":".join((*map(records_key, folders), judge))


def warm() -> None:
    """Import what drawing needs."""
    import evalkit.decisions.analyse
    import evalkit.reports.run_page
    import evalkit.views.run  # noqa: F401 - that they are imported is all


def digest(site: Site, folder: Path) -> Digested:
    """Work out how a run came out."""
    try:
        run = _open(site, folder)
        policy, note = choose_policy(site, run)
        found = run_digest(run, policy, note)
    except EvalkitError as error:
        return Digested(RunDigest(None, note=_plain(site, error)))
    video = None if found.thumbnail_trial is None else run.video_of(found.thumbnail_trial)
    return Digested(found, b"" if video is None else _thumbnail(video))


def draw(site: Site, wish: Wish) -> Page:
    """Draw a page; nothing is written, and no look is put on record."""
    try:
        return {"run": _draw_run, "signoff": _draw_signoff, "compare": _draw_comparison}[wish.kind](
            site, wish
        )
    except (EvalkitError, OSError) as error:
        return Page(problem=_plain(site, error))


def choose_policy(site: Site, run: Run, named: str = "") -> tuple[Policy | None, str]:
    """Return the policy that judges a run, and what a reader should know of that choice.

    Raises
    ------
    UsageError
        If the named one cannot be read.
    """
    from evalkit.analysis.table import metrics_of_run
    from evalkit.decisions.analyse import policy_of_run

    if named:
        return _named_policy(site, named, metrics_of_run(run).values()), ""
    own = run.manifest.policy or ""
    return policy_of_run(run) if may_judge(own, site.root, site.policies) else (None, _hidden(own))


def _named_policy(site: Site, named: str, metrics: Iterable[Metric]) -> Policy:
    from evalkit.decisions.policy import load_policy

    if not may_judge(named, site.root, site.policies):
        raise UsageError(_hidden(named))
    return load_policy(named, metrics)


def _hidden(policy: str) -> str:
    return (
        f"the policy {policy} is not in the folder that is served, so it is not read: "
        f"evalkit serve --policy {policy} lets it judge"
    )


def _draw_run(site: Site, wish: Wish) -> Page:
    from evalkit.decisions.analyse import analyse_run
    from evalkit.reports.moment_tracks import FOLDER as MOMENTS
    from evalkit.reports.run_page import render_run
    from evalkit.reports.timelines import FOLDER as TIMELINES
    from evalkit.reports.timelines import Timelines
    from evalkit.views.run import run_view

    run = _open(site, wish.folders[0])
    policy, note = choose_policy(site, run, wish.policy)
    view = run_view(analyse_run(run, policy), policy, note=note)
    ids = {trial.id for trial in view.trials}
    drawn = _there(run.folder, TIMELINES, ".svg", ids)
    moments = _there(run.folder, MOMENTS, ".vtt", ids)
    return Page(render_run(view, Timelines(drawn, 0), moments, frame=_frame(site, wish, own=run.folder)))


def _draw_signoff(site: Site, wish: Wish) -> Page:
    from evalkit.analysis.table import rows_of_run
    from evalkit.decisions.signoff import sign_off
    from evalkit.reports.signoff_page import render_signoff
    from evalkit.views.signoff import signoff_view

    run = _open(site, wish.folders[0])
    policy, note = choose_policy(site, run, wish.policy)
    if policy is None:
        raise UsageError(note)
    table = rows_of_run(run, _name(site, run))
    where = wish.where or {name: str(value) for name, value in (run_digest(run, policy).params or {}).items()}
    table = table.where(table.read_levels(where))
    baseline, why_not = _beside(site, wish, table, policy)
    verdict = sign_off(table, policy, baseline=baseline)
    text = render_signoff(signoff_view(verdict), frame=_frame(site, wish))
    return Page(text, not_beside=why_not)


def _beside(site: Site, wish: Wish, table: ResultTable, policy: Policy) -> tuple[Baseline | None, str]:
    """Hold a release beside the last one; None where there is none, or with the reason where it cannot be compared."""
    from evalkit.analysis.table import rows_of_run
    from evalkit.decisions.baseline import compare_with_baseline

    if wish.baseline is None:
        return None, ""
    try:
        last = _open(site, wish.baseline)
        released = rows_of_run(last, _name(site, last))
        released = released.where(released.read_levels(wish.baseline_where))
        return compare_with_baseline(table, released, policy), ""
    except EvalkitError as error:
        return None, _plain(site, error)


def _draw_comparison(site: Site, wish: Wish) -> Page:
    from evalkit.analysis.table import rows_of_run
    from evalkit.decisions.compare import compare_tables
    from evalkit.reports.compare_page import render_comparison
    from evalkit.views.comparison import comparison_view

    runs = [_open(site, folder) for folder in wish.folders]
    tables = [rows_of_run(run, _name(site, run)) for run in runs]
    metrics = [metric for table in tables for metric in table.metrics.values()]
    policy, note = _policy_of_sides(site, runs, metrics, wish.policy)
    tables = [table.where(table.read_levels(wish.where)) for table in tables]
    ignored: tuple[str, ...] = ()
    if wish.split is not None:
        name, *levels = wish.split
        tables = [tables[0].where(tables[0].read_levels({name: level})) for level in levels]
        ignored = (name,)
    found = compare_tables(tables[0], tables[1], policy=policy, ignore_params=ignored)
    found = replace(found, notes=(*found.notes, note)) if note else found
    return Page(render_comparison(comparison_view(found), frame=_frame(site, wish)))


def _policy_of_sides(
    site: Site, runs: Sequence[Run], metrics: Iterable[Metric], named: str
) -> tuple[Policy, str]:
    """Return the policy of a comparison as `evalkit compare` does; one that may not be read is named in a note."""
    from evalkit.decisions import DEFAULT_POLICY
    from evalkit.decisions.analyse import policy_of_sides
    from evalkit.decisions.policy import load_policy

    if named:
        return _named_policy(site, named, metrics), ""
    wanted = dict.fromkeys(run.manifest.policy for run in runs)
    if hidden := [name for name in wanted if name and not may_judge(name, site.root, site.policies)]:
        return load_policy(
            DEFAULT_POLICY, metrics
        ), f"judged by the policy {DEFAULT_POLICY}: {_hidden(hidden[0])}"
    return policy_of_sides([run.manifest.policy for run in runs], metrics)


def _name(site: Site, run: Run) -> str:
    """Return what a run is called here: its place in the folder."""
    return run.folder.name if run.folder == site.root else str(run.folder.relative_to(site.root))


def _open(site: Site, folder: Path) -> Run:
    """Open a run that reads nothing outside the folder; an error names no place outside it."""
    from evalkit.runs import Run

    if (link := find_leading_out(folder, site.root)) is not None:
        raise UsageError(f"{link} leads out of the folder that is served, so nothing of this run is read")
    return Run.open(folder).load()


def _frame(site: Site, wish: Wish, own: Path | None = None) -> PageFrame:
    from evalkit.visuals.page import PageFrame

    shown = (*wish.folders, *(() if wish.baseline is None else (wish.baseline,)))
    return PageFrame(wish.language, BAR, quote if own is not None else _link_to(site, shown))


def _link_to(site: Site, folders: Sequence[Path]) -> Callable[[str], str | None]:
    """Return what gives the address of a file of these runs."""

    def link(path: str) -> str | None:
        for folder in folders:
            try:
                inside = Path(path).resolve().relative_to(folder.resolve())
            except ValueError:
                continue
            place = Path(folder.name) if folder == site.root else folder.relative_to(site.root)
            return f"/runs/{write_address(place)}/{write_address(inside)}"
        return None

    return link


def _there(run: Path, folder: str, suffix: str, ids: set[str]) -> dict[str, str]:
    """Return what an earlier report left, relative to the run, by trial: nothing is drawn into a run."""
    place = run / folder
    names = {path.name for path in place.iterdir()} if place.is_dir() else set()
    return {trial: f"{folder}/{trial}{suffix}" for trial in ids if f"{trial}{suffix}" in names}


def _plain(site: Site, error: Exception) -> str:
    """Say what went wrong without the place of the folder on this machine."""
    return str(error).replace(f"{site.root}/", "")


def _thumbnail(video: Path) -> bytes:
    """Return a still of a video; empty where it cannot be read."""
    from evalkit.reports.posters import as_jpeg, read_still

    picture = read_still(video)
    return b"" if picture is None else as_jpeg(picture, THUMBNAIL_PX)
