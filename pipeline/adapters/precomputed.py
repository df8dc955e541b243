"""Videos that are already made, found by their parameters. Nothing is rendered and nothing is timed."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue, model_validator

from pipeline.errors import RequestError
from pipeline.events import SAVED, OnEvent, Timeline
from pipeline.generator import Description, Generator, Plan
from pipeline.options import PlainData
from pipeline.request import GenerationRequest, build_request
from pipeline.result import GenerationResult
from pipeline.video import measure_video, new_video

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

_VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi"}
_OPTION_PREFIX = "options."
_FILE_NAMES = {"image", "audio", "question_audio", "brand_mark"}
_N_NEAR = 5


class PrecomputedSettings(PlainData):
    """Where the videos are.

    Attributes
    ----------
    folder : str or None
        Each video ``x.mp4`` in it has an ``x.mp4.json`` beside it that says how it was made: a mapping of parameters,
        or a result of ``evalkit generate``, whose request is taken.
    table : str or None
        A CSV file with a column ``video`` (paths, relative to the table) and a column for each parameter known
        (``sample_steps`` …, ``options.NAME``); an empty cell says nothing.
    """

    folder: str | None = Field(default=None, description="path of a folder")
    table: str | None = Field(default=None, description="path of a CSV file")

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if (self.folder is None) == (self.table is None):
            raise ValueError("give the setting folder or the setting table, one of them")
        return self


@dataclass(frozen=True, slots=True)
class _Made:
    """One video and what is known of its making: parameters, with options as ``options.NAME``."""

    video: Path
    stated: dict[str, Any]


class Precomputed(Generator):
    """Hands out the one video that was made with the parameters asked for.

    A video fits if everything stated of it equals the request, and the request asks for nothing (other than a
    default) of which nothing is stated. File names fit as written, or if they lead to the same file from the folder
    of the table.

    Parameters
    ----------
    **settings
        See `PrecomputedSettings`.

    Raises
    ------
    RequestError
        If a setting cannot be used, or the folder or the table cannot be read.
    """

    name = "precomputed"
    Settings = PrecomputedSettings
    version = "1"

    def __init__(self, /, **settings: Any) -> None:
        self._settings = self.Settings.read(settings, "setting")
        if self._settings.table is not None:
            self._place = Path(self._settings.table)
            self._base = self._place.parent
            self._made = list(_read_table(self._place))
        else:
            self._place = Path(str(self._settings.folder))
            self._base = self._place
            self._made = list(_read_folder(self._place))
        if not self._made:
            raise RequestError(f"{self._place}: there are no videos in it")

    def describe(self) -> Description:
        """Describe where the videos are and which parameters distinguish them."""
        stated = sorted({name for made in self._made for name in made.stated})
        options: dict[str, JsonValue] = {
            name.removeprefix(_OPTION_PREFIX): {} for name in stated if name.startswith(_OPTION_PREFIX)
        }
        return Description(
            name=self.name,
            version=self.version,
            summary=f"{len(self._made)} finished videos of {self._place}; nothing is rendered or timed",
            parameters={name: "picks the video" for name in stated if not name.startswith(_OPTION_PREFIX)},
            options={"type": "object", "properties": options} if options else {},
            settings=self.Settings.model_json_schema(),
        )

    def request(self, /, **parameters: Any) -> GenerationRequest:
        """Build a request; it may have a question, which was answered when the video was made."""
        return build_request(parameters)

    def check(self, request: GenerationRequest) -> None:
        """Refuse a request that no video, or more than one, was made with."""
        self._find(request)

    def dry_run(self, request: GenerationRequest, out_path: Path) -> Plan:
        """Say which file would be copied."""
        return Plan(steps=(f"copies {self._find(request)} to {out_path}",))

    @property
    def follows_gpus(self) -> bool:
        """Say no: it works on none."""
        return False

    def load(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def generate(
        self, request: GenerationRequest, out_path: Path, on_event: OnEvent | None = None
    ) -> GenerationResult:
        """Copy the video; see `Generator.generate`. There is no first frame to wait for, so no such event."""
        timeline = Timeline(on_event)
        source = self._find(request)
        with new_video(out_path) as part:
            shutil.copyfile(source, part)
            measured = measure_video(part)
        timeline.mark(SAVED, copied_from=str(source))
        return GenerationResult(
            generator=self.name,
            version=self.version,
            request=request,
            video=str(out_path),
            events=timeline.events,
            **asdict(measured),
        )

    def _find(self, request: GenerationRequest) -> Path:
        asked = _flatten(request.to_dict())
        defaults = _flatten(GenerationRequest().to_dict())
        differences = [(_differences(asked, made, defaults, self._base), made) for made in self._made]
        fitting = [made.video for lines, made in differences if not lines]
        if len(fitting) > 1:
            raise RequestError(
                f"{self._place}: {len(fitting)} videos were made with these parameters and nothing stated distinguishes "
                f"them: {', '.join(map(str, fitting))}"
            )
        if not fitting:
            near = sorted(differences, key=lambda pair: len(pair[0]))[:_N_NEAR]
            lines = [f"  {made.video.name}: {'; '.join(lines)}" for lines, made in near]
            raise RequestError(
                f"{self._place}: none of its {len(self._made)} videos was made with these parameters. Nearest:\n"
                + "\n".join(lines)
            )
        if not fitting[0].is_file():
            raise RequestError(f"{fitting[0]}: {self._place} names this video, and there is no such file")
        return fitting[0]


def _differences(asked: dict[str, Any], made: _Made, defaults: dict[str, Any], base: Path) -> list[str]:
    found = []
    for name in dict.fromkeys((*asked, *made.stated)):
        value = asked.get(name)
        if name not in made.stated:
            if value != defaults.get(name):
                found.append(f"nothing is stated of {name} (asked {value!r})")
        elif value != made.stated[name] and not _is_same_file(name, value, made.stated[name], base):
            found.append(f"{name} {made.stated[name]!r} (asked {value!r})")
    return found


def _is_same_file(name: str, asked: str | None, stated: str | None, base: Path) -> bool:
    if name not in _FILE_NAMES or asked is None or stated is None:
        return False
    return Path(asked).resolve() == (base / stated).resolve()


def _flatten(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with each option as ``options.NAME``."""
    options = parameters.get("options", {})
    plain = {name: value for name, value in parameters.items() if name != "options"}
    return {**plain, **{_OPTION_PREFIX + name: value for name, value in options.items()}}


def _read_folder(folder: Path) -> Iterator[_Made]:
    if not folder.is_dir():
        raise RequestError(f"folder {str(folder)!r}: there is no such folder")
    for video in sorted(folder.iterdir()):
        is_hidden = video.name.startswith(".")  # what systems leave beside files
        if video.suffix.lower() not in _VIDEO_SUFFIXES or is_hidden or video.is_dir():
            continue
        note = video.with_name(video.name + ".json")
        try:
            data = json.loads(note.read_text("utf-8"))
            parameters = data.get("request", data)
            whole = _flatten(build_request(parameters).to_dict())
        except FileNotFoundError:
            raise RequestError(f"{video} has no {note.name} beside it that says how it was made") from None
        except (ValueError, AttributeError) as error:
            raise RequestError(f"{note} does not say how the video was made: {error}") from error
        yield _Made(video, {name: whole[name] for name in _flatten(parameters)})


def _read_table(table: Path) -> Iterator[_Made]:
    if not table.is_file():
        raise RequestError(f"table {str(table)!r}: there is no such file")
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, restkey="", strict=True)
        columns = rows.fieldnames or []
        if "video" not in columns:
            raise RequestError(f"table {str(table)!r} has no column 'video'; it has: {', '.join(columns)}")
        try:
            for row in rows:
                where = f"{table} line {rows.line_num}"
                if "" in row or None in row.values():
                    raise RequestError(
                        f"{where} has {'more' if '' in row else 'fewer'} cells than the table has columns"
                    )
                video = row.pop("video")
                if not video:
                    raise RequestError(f"{where} names no video; give its file in the column video")
                yield _Made(table.parent / video, _read_row(row, where))
        except (csv.Error, UnicodeDecodeError) as error:
            raise RequestError(f"table {str(table)!r} cannot be read: {error}") from error


def _read_row(row: Mapping[str, str], where: str) -> dict[str, Any]:
    cells = {name: cell for name, cell in row.items() if cell}
    options = {name: cells.pop(name) for name in list(cells) if name.startswith(_OPTION_PREFIX)}
    try:
        read = GenerationRequest.read_texts(cells, "parameter").to_dict()
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from None
    return {name: read[name] for name in cells} | {
        name: _json_or_text(cell) for name, cell in options.items()
    }


def _json_or_text(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell
