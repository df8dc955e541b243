"""A page with everything that it shows in one file, or beside it in an archive: to be mailed, and to be kept."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import logging
import os
import tempfile
import zipfile
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from evalkit.errors import ClipError, UsageError
from evalkit.formatting import label
from evalkit.reports.trial_pages import DrawnTrial, pack_trials, unpack_trials
from evalkit.types import FrameChunk
from evalkit.words.language import LANGUAGES, read_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from evalkit.types import AudioChunk, ClipFacts

LARGEST_MB = 25
"""Of a page with everything in it: what mail still takes."""
_AIMED_BYTES = 24e6
_OF_BASE64 = 3 / 4
_PART_OF_PICTURES = 0.3
_PICTURE_SIDE_PX = 720
_RUNGS = ((350_000, 480, 28), (180_000, 360, 31), (0, 240, 35))
"""From so many bits a second on: the longer side in pixels, and the constant rate factor."""
_FEWEST_BITS_PER_S = 60_000
_SOUND_BITS_PER_S = 48_000
_PRESET = "veryfast"
_PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
_STORED = {".mp4", ".jpg", ".jpeg", ".png", ".webp", ".webm", ".parquet"}
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MORE_TRIALS = '<script type="text/plain" id="more-trials">'
_CLIPS_ID = "clips-in-this-file"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bundle:
    """A page with everything in it.

    Parameters
    ----------
    page : str
    n_clips, n_elsewhere : int
        Videos that are in it, and those of which it says that they are not.
    """

    page: str
    n_clips: int
    n_elsewhere: int


def bundle_page(page: str, folder: Path, roots: Sequence[Path], *, first: Iterable[Path] = ()) -> Bundle:
    """Return a page with small previews of the videos and pictures to which it leads, smaller than `LARGEST_MB`.

    Parameters
    ----------
    page : str
        As `evalkit.visuals.page.render_page` gives it.
    folder : Path
        From which its links lead.
    roots : sequence of Path
        Folders and files that it may show: what lies elsewhere is left out, whatever leads to it.
    first : iterable of Path
        Videos that go before all others, which come in the order of the page.

    Raises
    ------
    UsageError
        If the page alone is too large.
    """
    places = _Places(folder, roots)
    links = list(_links_of(page))
    everything = {
        path
        for kind, link in _links_of(page, with_more=True)
        if kind == "video" and (path := places.find(link))
    }
    language = LANGUAGES[1] if f'lang="{LANGUAGES[1]}"' in page[:200] else LANGUAGES[0]
    elsewhere = read_words(language, "player")("in_the_run")
    bare = _Editor(places, {}, {}, elsewhere)
    page = _edit_more(page, replace_in=bare)
    room = _AIMED_BYTES - len(bare.edit(page).encode())
    if room < 0:
        raise UsageError(
            f"the page alone takes {(_AIMED_BYTES - room) / 1e6:.0f} MB, and a single file {LARGEST_MB} MB at most: "
            f"write it with --zip"
        )
    pictures = _make_pictures(places, [link for kind, link in links if kind == "picture"], room)
    room = _AIMED_BYTES - len(_Editor(places, {}, pictures, elsewhere).edit(page).encode())
    ahead = {path.resolve(): place for place, path in enumerate(first)}
    wanted = dict.fromkeys(path for kind, link in links if kind == "video" and (path := places.find(link)))
    ordered = sorted(wanted, key=lambda path: ahead.get(path, len(ahead)))
    clips = _make_previews(ordered, room * _OF_BASE64)
    numbers = {path: number for number, path in enumerate(clips)}
    edited = _Editor(places, numbers, pictures, elsewhere).edit(page)
    data = json.dumps([base64.b64encode(content).decode() for content in clips.values()])
    scripts = (
        f'<script type="application/json" id="{_CLIPS_ID}">{data}</script>\n<script>{_script()}</script>\n'
    )
    head, mark, rest = edited.rpartition("</main>")
    made = f"{head}{mark}\n{scripts}{rest}"
    if len(made.encode()) > LARGEST_MB * 1e6:
        raise UsageError(f"the page became larger than {LARGEST_MB} MB: write it with --zip")
    return Bundle(made, len(clips), len(everything) - len(clips))


def write_archive(page: Path, folder: Path, archive: Path) -> int:
    """Write a page and every file of its folder to which it leads, with their places in it.

    Parameters
    ----------
    page : Path
        It lies in the folder.
    folder : Path
        Nothing outside of it is taken, whatever leads there.
    archive : Path
        A ZIP file; one that is there is replaced when the new one is whole.

    Returns
    -------
    int
        Number of files.

    Raises
    ------
    OSError
        If it cannot be written.
    UsageError
        If a ZIP file cannot hold a name.
    """
    text = page.read_text("utf-8")
    places = _Places(folder, [folder])
    links = [link for _, link in _links_of(text, with_more=True)]
    root = folder.resolve()
    found = {
        path.relative_to(root): path for link in links if (path := places.find(link)) and path != archive
    }
    part = archive.with_name(f".{archive.name}.part")
    top = Path(_in_unicode(root.name))
    if foreign := [name for name in found if _in_unicode(str(name)) != str(name)]:
        raise UsageError(
            f"{label(str(foreign[0]))} has a name that is no UTF-8, and a ZIP file cannot hold it: rename it"
        )
    try:
        with zipfile.ZipFile(part, "w") as target:
            for name, path in {page.resolve().relative_to(root): page, **dict(sorted(found.items()))}.items():
                kind = zipfile.ZIP_STORED if path.suffix.lower() in _STORED else zipfile.ZIP_DEFLATED
                info = zipfile.ZipInfo((top / name).as_posix(), _EPOCH)
                info.compress_type, info.external_attr = kind, 0o644 << 16
                with path.open("rb") as source, target.open(info, "w", force_zip64=True) as held:
                    while block := source.read(1 << 20):
                        held.write(block)
        part.replace(archive)
    finally:
        part.unlink(missing_ok=True)
    return 1 + len(found.keys() - {page.resolve().relative_to(root)})


def _in_unicode(name: str) -> str:
    """Return a name with a sign for every byte of it that is no UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


@cache
def _script() -> str:
    return (files(__package__) / "templates" / "bundle.js").read_text("utf-8")


@dataclass(frozen=True)
class _Places:
    """Where links of a page lead, as long as that is within the roots."""

    folder: Path
    roots: Sequence[Path]

    def find(self, link: str) -> Path | None:
        """Return the file behind a link; None where there is none, or it lies elsewhere."""
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or not parts.path:
            return None
        try:
            path = (self.folder / os.fsdecode(unquote_to_bytes(parts.path))).resolve()
            is_file = path.is_file()
        except (OSError, ValueError):
            return None
        inside = any(path == root.resolve() or path.is_relative_to(root.resolve()) for root in self.roots)
        return path if is_file and inside else None


# -- previews


def _make_pictures(places: _Places, links: Sequence[str], room: float) -> dict[Path, str]:
    """Return pictures as addresses of data, as many as have room wherever the page shows them."""
    shown = Counter(path for link in links if (path := places.find(link)) is not None)
    found: dict[Path, str] = {}
    left = room * _PART_OF_PICTURES
    for path, n in shown.items():
        data = _picture_data(path)
        if data is not None and n * len(data) <= left:
            found[path] = data
            left -= n * len(data)
    return found


def _picture_data(path: Path) -> str | None:
    """Return a picture as an address of data, made smaller; None where it is none."""
    if path.suffix.lower() == ".svg":
        return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
    if path.suffix.lower() not in _PICTURES:
        return None
    from PIL import Image, UnidentifiedImageError

    held = io.BytesIO()
    try:
        with Image.open(path) as picture:
            small = picture.convert("RGB")
            small.thumbnail((_PICTURE_SIDE_PX, _PICTURE_SIDE_PX))
            small.save(held, "JPEG", quality=72)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        log.info("no preview of %s: %s", path, error)
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(held.getvalue()).decode()}"


def _make_previews(videos: Sequence[Path], budget: float) -> dict[Path, bytes]:
    """Return previews of as many videos as have room, the first ones first."""
    from evalkit.media.probe import probe

    chosen: list[tuple[Path, ClipFacts, float]] = []
    promised = 0.0
    for path in videos:
        try:
            facts = probe(str(path))
        except ClipError as error:
            log.info("no preview of %s: %s", path, error)
            continue
        length_s = max(0.5, _length_s(facts))
        promised += length_s * _FEWEST_BITS_PER_S / 8
        if promised > budget:
            break
        chosen.append((path, facts, length_s))
    found: dict[Path, bytes] = {}
    left, left_s = budget, sum(length_s for _, _, length_s in chosen)
    with tempfile.TemporaryDirectory(prefix="evalkit-previews-") as folder:
        for path, facts, length_s in chosen:
            content = _preview(facts, Path(folder) / "preview.mp4", left * length_s / left_s, length_s)
            left_s -= length_s
            if content is not None and len(content) <= left:
                found[path] = content
                left -= len(content)
    return found


def _length_s(facts: ClipFacts) -> float:
    lengths = [part.announced_duration_s for part in (facts.video, facts.audio) if part is not None]
    return max((length for length in lengths if length), default=10.0)


def _preview(facts: ClipFacts, out: Path, n_bytes: float, length_s: float) -> bytes | None:
    """Return a small MP4 of a video, of so many bytes at most where that can be; None where it cannot be read."""
    from evalkit.media.playable import write_playable
    from evalkit.media.reader import Reader

    content = None
    for least, side_px, crf in _RUNGS:
        if 8 * n_bytes / length_s < least:
            continue
        try:
            write_playable(
                facts,
                out,
                anew=("picture", "sound"),
                chunks=_shrink(Reader(facts), side_px),
                crf=crf,
                preset=_PRESET,
                sound_bits_per_s=_SOUND_BITS_PER_S,
            )
        except ClipError as error:
            log.info("no preview of %s: %s", facts.path, error)
            return None
        content = out.read_bytes()
        if len(content) <= n_bytes:
            break
    return content


def _shrink(chunks: Iterable[FrameChunk | AudioChunk], side_px: int) -> Iterator[FrameChunk | AudioChunk]:
    """Give chunks with smaller pictures."""
    import cv2

    for chunk in chunks:
        if not isinstance(chunk, FrameChunk) or not chunk.frames:
            yield chunk
            continue
        height, width = chunk.frames[0].shape[:2]
        scale = min(1.0, side_px / max(height, width))
        size = tuple(max(2, round(side * scale / 2) * 2) for side in (width, height))
        small = [cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in chunk.frames]
        yield replace(chunk, frames=small)


# -- the page


def _links_of(page: str, *, with_more: bool = False) -> Iterator[tuple[str, str]]:
    """Give every link of a page with its kind: video, picture, or other."""
    yield from _Collector().collect(page)
    if with_more:
        for row, details in _read_more(page):
            yield from _Collector().collect(row + details)


def _split_more(page: str) -> tuple[str, str, str] | None:
    """Return a page in three parts, the second of them the trials that are text until somebody asks for them."""
    head, mark, rest = page.partition(_MORE_TRIALS)
    text, end, tail = rest.partition("</script>")
    return (head + mark, text, end + tail) if mark else None


def _read_more(page: str) -> list[DrawnTrial]:
    parts = _split_more(page)
    if parts is None:
        return []
    return unpack_trials(parts[1])


def _edit_more(page: str, replace_in: _Editor) -> str:
    from markupsafe import Markup

    parts = _split_more(page)
    if parts is None:
        return page
    more = [DrawnTrial(*(Markup(replace_in.edit(text)) for text in one)) for one in _read_more(page)]  # noqa: S704 - of the page
    return parts[0] + pack_trials(more) + parts[2]


class _Collector(HTMLParser):
    """Lists the links of a page."""

    def collect(self, page: str) -> list[tuple[str, str]]:
        """Return them with their kinds, in the order of the page."""
        self.found: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        return self.found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember what it leads to."""
        for name, kind in (("src", "video" if tag == "video" else "picture"), ("poster", "picture")):
            if value := dict(attrs).get(name):
                self.found.append((kind, value))
        for name, kind in (("data-src", "video"), ("href", "other")):
            if value := dict(attrs).get(name):
                self.found.append((kind, value))


class _Editor:
    """Puts previews in the place of links."""

    def __init__(
        self, places: _Places, clips: dict[Path, int], pictures: dict[Path, str], elsewhere: str
    ) -> None:
        self._places = places
        self._clips = clips
        self._pictures = pictures
        self._elsewhere = elsewhere

    def edit(self, page: str) -> str:
        """Return a page without links to files."""
        return _Rewriter(self._start_tag).rewrite(page)

    def _start_tag(self, tag: str, attrs: dict[str, str | None], text: str) -> str:
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy":
            return _tag(tag, {**attrs, "content": _loosen(attrs["content"] or "")})
        if tag == "html":
            return _tag(tag, {**attrs, "data-elsewhere": self._elsewhere})
        if tag == "video":
            return self._video(attrs)
        return self._with_link(tag, attrs) or text

    def _with_link(self, tag: str, attrs: dict[str, str | None]) -> str:
        """Return a tag without its link, or nothing where it has none."""
        if tag == "img" and _is_link(attrs.get("src")):
            data = self._picture(attrs.pop("src"))
            if data is None:
                return f'<span class="small">{html.escape(attrs.get("alt") or "")}</span>'
            return _tag(tag, {**attrs, "src": data})
        if _is_link(attrs.get("data-src")):
            number = self._clip(attrs.pop("data-src"))
            return _tag(tag, attrs if number is None else {**attrs, "data-clip": str(number)})
        if tag == "a" and _is_link(attrs.get("href")):
            del attrs["href"]
            return _tag(tag, {**attrs, "title": self._elsewhere})
        return ""

    def _video(self, attrs: dict[str, str | None]) -> str:
        source, poster = attrs.pop("src", None), attrs.pop("poster", None)
        if _is_link(poster):
            poster = self._picture(poster)
        if poster is not None:
            attrs["poster"] = poster
        if source is None:
            return _tag("video", attrs)  # of a template
        number = self._clip(source)
        if number is not None:
            return _tag("video", {**attrs, "data-clip": str(number)})
        said = f'<p class="no-video small">{html.escape(self._elsewhere)}</p>'
        return said + _tag("video", {**attrs, "hidden": None})

    def _clip(self, link: str | None) -> int | None:
        path = self._places.find(link or "")
        return None if path is None else self._clips.get(path)

    def _picture(self, link: str | None) -> str | None:
        path = self._places.find(link or "")
        return None if path is None else self._pictures.get(path)


class _Rewriter(HTMLParser):
    """Copies a page as it is, but for its start tags."""

    def __init__(self, start_tag: Callable[[str, dict[str, str | None], str], str]) -> None:
        super().__init__(convert_charrefs=False)
        self._start_tag = start_tag
        self._parts: list[str] = []

    def rewrite(self, page: str) -> str:
        """Return the copy."""
        self.feed(page)
        self.close()
        return "".join(self._parts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write it as the page shall have it."""
        self._parts.append(self._start_tag(tag, dict(attrs), self.get_starttag_text() or ""))

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag: str) -> None:
        """Copy it."""
        self._parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        """Copy it."""
        self._parts.append(data)

    def handle_entityref(self, name: str) -> None:
        """Copy it."""
        self._parts.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        """Copy it."""
        self._parts.append(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        """Copy it."""
        self._parts.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        """Copy it."""
        self._parts.append(f"<!{decl}>")


def _tag(name: str, attrs: dict[str, str | None]) -> str:
    written = "".join(
        f" {key}" if value is None else f' {key}="{html.escape(value)}"' for key, value in attrs.items()
    )
    return f"<{name}{written}>"


def _is_link(value: str | None) -> bool:
    """Say whether it leads to a file: an address of data and a place in the page do not."""
    return bool(value) and not str(value).startswith(("#", "data:"))


def _loosen(policy: str) -> str:
    """Return a page's policy of what it may do, for one that holds everything: no file, but what is in it."""
    digest = base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";") if rule.strip())
    rules["script-src"] = (
        f"'sha256-{digest}' {rules['script-src'].replace(chr(39) + 'none' + chr(39), '')}".rstrip()
    )
    rules |= {"img-src": "data:", "media-src": "blob:"}
    return "; ".join(f"{name} {sources}" for name, sources in rules.items())
