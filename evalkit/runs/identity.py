"""What gives videos, measurements and machines their names. Pinned by tests: a change makes old results unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.options import hash_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VIDEO_FORMAT = 2
"""Raised when the same video gets another id. 1: the evaluators counted too."""
MEASUREMENT_FORMAT = 1
FILE_PARAMETERS = ("brand_mark",)
"""Parameters of a request that name a file: what counts is its content."""
_VIDEO_LENGTH = 16
_SHORT_LENGTH = 12


def video_id(
    generator: Mapping[str, Any],
    params: Mapping[str, Any],
    *,
    portrait: str | None,
    speech: str | None,
    seed: int | None,
) -> str:
    """Return the name of a video: the first 16 hexadecimal digits of the hash of all that decides its content.

    Parameters
    ----------
    generator : mapping
        ``name``, ``version``, ``settings``.
    params : mapping
        Parameters of the request, less inputs and seed, with the content of a file in place of its path.
    portrait, speech : str or None
        Contents of the inputs, see `evalkit.runs.Input`. What an input is called or where its file lies does not count.
    seed : int or None
    """
    return hash_of(
        {
            "format": VIDEO_FORMAT,
            "generator": dict(generator),
            "params": dict(params),
            "portrait": portrait,
            "speech": speech,
            "seed": seed,
        }
    )[:_VIDEO_LENGTH]


def with_contents(params: Mapping[str, Any], contents: Mapping[str, str]) -> dict[str, Any]:
    """Return parameters with the content of a file in place of its path.

    >>> with_contents({"brand_mark": "mark.png", "size": "384*256"}, {"mark.png": "ab"})
    {'brand_mark': 'ab', 'size': '384*256'}
    """
    return {
        name: contents.get(value, value) if isinstance(value, str) else value
        for name, value in params.items()
    }


def plan_hash(
    planned: Iterable[str], generator: Mapping[str, Any], evaluators: Iterable[str], policy: str | None
) -> str:
    """Return the SHA-256 of a plan: which videos are to be made, by what, measured by whom and judged how.

    Parameters
    ----------
    planned : iterable of str
        Ids of the videos, in any order.
    generator : mapping
        ``name``, ``version``, ``settings``.
    evaluators : iterable of str
        Names, in any order.
    policy : str or None
        SHA-256 of what the policy says.
    """
    return hash_of(
        {
            "planned": sorted(planned),
            "generator": dict(generator),
            "evaluators": sorted(evaluators),
            "policy": policy,
        }
    )


def measurement_identity(content: str, evaluator: str, version: str) -> str:
    """Return the first 12 hexadecimal digits of the hash of all that decides a measurement.

    Parameters
    ----------
    content : str
        SHA-256 of the video file.
    evaluator, version : str
        Name; version with the identity of settings, see `evalkit.evaluators.load.version_of`.
    """
    return hash_of(
        {"format": MEASUREMENT_FORMAT, "content": content, "evaluator": evaluator, "version": version}
    )[:_SHORT_LENGTH]


def machine_key(machine: Mapping[str, Any]) -> str:
    """Return the key of a machine in a manifest: the first 12 hexadecimal digits of the hash of what is known of it."""
    return hash_of(dict(machine))[:_SHORT_LENGTH]
