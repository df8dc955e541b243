"""The options of a command for what measures videos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from evalkit.measuring import STALL_LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable

_BRAND_OPTIONS = (
    click.option("--brand", type=click.Path(), help="A brand's YAML file: its logos, colours and place."),
    click.option("--clip-model", help="A CLIP model that open_clip knows, instead of the bundled one."),
    click.option("--clip-weights", metavar="TAG_OR_FILE", help="Weights of that model."),
)
_BATCH_OPTIONS = (
    click.option(
        "--jobs",
        type=click.IntRange(min=1),
        help="Processor cores that measure: a video each, or several for a single one (default: all).",
    ),
    click.option(
        "--stall-limit",
        type=click.FloatRange(min=1),
        default=STALL_LIMIT_S,
        show_default=True,
        help="Give a video up after this many seconds without progress.",
    ),
)


def brand_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options ``--brand``, ``--clip-model`` and ``--clip-weights``."""
    for option in reversed(_BRAND_OPTIONS):
        command = option(command)
    return command


def batch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options ``--jobs`` and ``--stall-limit``."""
    for option in reversed(_BATCH_OPTIONS):
        command = option(command)
    return command


def brand_settings(
    brand: str | None, clip_model: str | None, clip_weights: str | None
) -> dict[str, dict[str, Any]]:
    """Return the options as settings of the evaluator ``brand``; nothing where none was given."""
    given = {"file": brand, "model": clip_model, "weights": clip_weights}
    settings = {name: value for name, value in given.items() if value is not None}
    return {"brand": settings} if settings else {}


def split_names(text: str | None) -> list[str] | None:
    """Read names between commas; None where none were given.

    >>> split_names("lip_sync, technical")
    ['lip_sync', 'technical']
    """
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
