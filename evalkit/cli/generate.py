"""``evalkit generate``: one talking video from one generator.

Beside the video, its result is written as plain data.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.outputs import say
from evalkit.cli.settings import take_pairs, take_settings
from evalkit.cli.streams import without_library_words
from evalkit.formatting import count, encodable
from pipeline.errors import GenerationError, RequestError
from pipeline.events import ANSWERED, CLIP, FIRST_FRAME, HEARD, SAVED, SPOKEN, USED, WARNING
from pipeline.options import json_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalkit.options import Document
    from pipeline.events import Event, OnEvent
    from pipeline.result import GenerationResult

_FILE = click.Path(path_type=Path)
_CONVERSATION = "conversation"
_LONGEST_OUT = 200
"""Bytes of a video's name: file systems allow 255, and what is written beside it, or before it is whole, has endings."""


class _Refused(click.ClickException):
    """A request that cannot be carried out; shown without the usage line."""

    exit_code = 2


@click.command(context_settings={"show_default": False})
@click.option("--generator", "name", required=True, help="Which one, as in 'evalkit list'.")
@click.option("--out", "out_path", type=_FILE, required=True, help="The video to write.")
@click.option("--text", help="Words to speak.")
@click.option("--audio", help="Sound file to speak, instead of --text.")
@click.option("--question", help="Question whose answer is spoken.")
@click.option("--question_audio", help="The same as a sound file.")
@click.option("--documents", type=_FILE, help="Folder of documents to answer from (.txt .md .csv .json).")
@click.option(
    "--conversation", type=_FILE, callback=take_settings, help="YAML file: who hears, answers and speaks."
)
@click.option("--language", help="Language of the text, or of question and answer: en, cmn, de …")
@click.option("--voice", help="Voice for the text.")
@click.option("--image", help="Portrait.")
@click.option("--prompt", help="Person, action, surroundings, visual style.")
@click.option("--brand_mark", help="Picture of a brand mark for the scene.")
@click.option("--size", help='Picture size in pixels, "W*H".')
@click.option("--fps", type=float, help="Frames a second.")
@click.option("--num_clip", type=int, help="Clips to make at most.")
@click.option("--infer_frames", type=int, help="Frames a clip.")
@click.option("--sample_steps", type=int, help="Steps of the diffusion solver.")
@click.option("--sample_guide_scale", type=float, help="Classifier-free guidance; 0 for none.")
@click.option("--base_seed", type=int, help="The same seed gives the same video, where the generator can.")
@click.option(
    "--enable_online_decode",
    is_flag=True,
    default=None,
    help="Write each clip as it is made, in level memory.",
)
@click.option("--offload_model", is_flag=True, default=None, help="Keep only the working part on the GPU.")
@click.option(
    "--option", "options", multiple=True, callback=take_pairs, help="NAME=VALUE for this generator only."
)
@click.option("--settings", type=_FILE, callback=take_settings, help="YAML file that sets the generator up.")
@click.option(
    "--set", "changes", multiple=True, callback=take_pairs, help="NAME=VALUE, one of those settings."
)
@click.option("--overwrite", is_flag=True, help="Replace the video if it is there.")
@click.option("--dry-run", is_flag=True, help="Check everything and print what would be run.")
def generate(
    *,
    name: str,
    out_path: Path,
    settings: Document,
    changes: dict[str, Any],
    conversation: Document,
    documents: Path | None,
    overwrite: bool,
    dry_run: bool,
    **parameters: Any,
) -> None:
    """Make one talking video from a portrait and words or speech.

    Beside the video OUT, OUT.json says how it was made and what came out, measured from the file.

    Exit status: 0 made; 1 started and failed; 2 refused before it started.
    """
    from evalkit.options import explain_mistakes
    from pipeline.extras import require_extra
    from pipeline.generator import load_generator

    given = {key: value for key, value in parameters.items() if value is not None}
    settings = settings.changed_by(changes)
    if documents is not None:
        conversation = conversation.changed_by({"documents": str(documents)})
    read_from: tuple[Document, ...] = (settings,)
    if conversation or given.keys() & {"question", "question_audio"}:
        read_from = (
            (conversation, settings)
            if name == _CONVERSATION
            else (conversation.changed_by({"generator": name}), settings.below("generator_settings"))
        )
        name, settings = _with_conversation(name, settings, conversation)
    try:
        generator = load_generator(name, settings)
        require_extra(generator, f"the generator {generator.name!r}")
        request = generator.request(**given)
        _check_out(out_path, overwrite=overwrite)
        if dry_run:
            with without_library_words():
                planned = generator.dry_run(request, out_path)
            say(planned.text())
            return
        with without_library_words():
            generator.check(request)  # before anything is loaded
        with without_library_words(), _progress() as on_event, generator:
            result = generator.generate(request, out_path, on_event)
    except RequestError as error:
        raise _Refused(explain_mistakes(error, *read_from)) from error
    except GenerationError as error:
        raise click.ClickException(str(error)) from error
    Path(f"{out_path}.json").write_text(json_text(result.to_dict()), "utf-8")
    for event in result.events:
        if event.name == WARNING and "text" in event.detail:
            say(f"note: {event.detail['text']}", err=True)
        for line in _describe_backends(event):
            say(line)
    say(_summarise(result))
    say(str(out_path))


def _with_conversation(name: str, settings: Document, conversation: Document) -> tuple[str, Document]:
    """Return the generator that has a conversation first and then asks the one named."""
    if name == _CONVERSATION:
        return name, settings.changed_by(conversation)
    own = conversation.get("generator_settings") if conversation.get("generator", name) == name else None
    behind = {**(own if isinstance(own, dict) else {}), **settings}
    return _CONVERSATION, conversation.changed_by({"generator": name, "generator_settings": behind})


def _check_out(out_path: Path, *, overwrite: bool) -> None:
    from evalkit.measuring.pool import VIDEO_SUFFIXES

    folder = out_path.absolute().parent
    if encodable(str(out_path.absolute())) != str(out_path.absolute()):
        raise _Refused(f"--out {str(out_path)!r}: its path is not UTF-8, and results name it; give another")
    if len(os.fsencode(out_path.name)) > _LONGEST_OUT:
        raise _Refused(
            f"--out: the name is longer than {_LONGEST_OUT} bytes; files beside it have longer ones"
        )
    if not folder.is_dir():
        raise _Refused(f"--out {str(out_path)!r}: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK):
        raise _Refused(f"--out {str(out_path)!r}: nothing may be written into {folder}")
    if out_path.is_dir():
        raise _Refused(f"--out {str(out_path)!r} is a folder; name a file in it")
    if out_path.exists() and not overwrite:
        raise _Refused(f"--out {str(out_path)!r} is there already; name another or give --overwrite")
    if out_path.suffix.lower() not in VIDEO_SUFFIXES:
        raise _Refused(
            f"--out {str(out_path)!r}: no video is called so; give it a name as in {out_path.stem}.mp4"
        )


@contextmanager
def _progress() -> Iterator[OnEvent]:
    """Show events as they come: a bar by clip on a terminal, else a line each."""
    if not sys.stderr.isatty():
        yield lambda event: say(f"{event.time_s:8.2f} s  {_word(event)}", err=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("starting", total=None)

        def show(event: Event) -> None:
            n_clips = event.detail.get("n_clips")
            if isinstance(n_clips, int):
                progress.update(task, total=n_clips)
            progress.update(task, description=_word(event), advance=event.name == CLIP)

        yield show


_DONE = {HEARD: "heard", ANSWERED: "answered", SPOKEN: "spoken"}


def _describe_backends(event: Event) -> Iterator[str]:
    """Say who did a part of a conversation, and why those that come before it did not."""
    attempts: Any = event.detail.get("backends")
    if event.name not in _DONE or not attempts:
        return
    used = next((attempt["backend"] for attempt in attempts if attempt["outcome"] == USED), None)
    failed = [attempt for attempt in attempts if attempt["outcome"] != USED]
    if used is not None and (failed or event.name == ANSWERED):
        instead = f" instead of {' and '.join(attempt['backend'] for attempt in failed)}" if failed else ""
        yield f"{_DONE[event.name]} by {used}{instead}"
    for attempt in failed:
        yield f"  {attempt['backend']}: {attempt['reason']}"


def _word(event: Event) -> str:
    """Describe an event in a few words."""
    if event.name == CLIP:
        of = f" of {event.detail['n_clips']}" if event.detail.get("n_clips") else ""
        index = event.detail["index"]
        return f"clip {index + 1 if isinstance(index, int) else index}{of}"
    if event.name in {HEARD, ANSWERED}:
        return f"{event.name}: {event.detail['text']}"
    words = event.name.replace("_", " ")
    return f"{words} (only at the end)" if event.detail.get("at_end") else words


def _summarise(result: GenerationResult) -> str:
    clips = f" in {count(result.n_clips, 'clip')}" if result.n_clips else ""
    made = f"{result.width}*{result.height}, {result.fps:.3g} fps, {result.duration_s:.2f} s{clips}"
    first_s, saved_s = result.time_of(FIRST_FRAME), result.time_of(SAVED)
    if first_s is None or saved_s is None:
        return made
    return f"{made}; first frame after {first_s:.2f} s, all after {saved_s:.2f} s"
