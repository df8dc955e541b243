"""Evaluators of a script or a notebook: known to its process alone, beside those that are installed."""

from __future__ import annotations

from inspect import isclass
from typing import TYPE_CHECKING, Any, TypeVar

from evalkit import registry
from evalkit.errors import UsageError
from evalkit.evaluators.load import load_evaluators, make_evaluator

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evalkit.evaluators.base import Evaluator

Kind = TypeVar("Kind", bound=type)


def register(kind: Kind) -> Kind:
    """Make an evaluator's class known by its name, in this process and until it ends.

    Afterwards the name can be given wherever evaluators are named, and `evalkit.evaluate` measures with it by default.
    Running the definition again replaces it. A finished evaluator is better installed, through the entry-point group
    ``evalkit.evaluators``: other processes, and sweeps, know only those.

    Parameters
    ----------
    kind : class
        With the attributes of `evalkit.Evaluator`.

    Returns
    -------
    class
        The same, so that this can be used as a decorator.

    Raises
    ------
    UsageError
        If it is not the class of an evaluator, or its name or one of its metrics is taken.

    Examples
    --------
    ::

        FRAMES = evalkit.Metric("length.frames", "1", "band", "number of frames")

        @evalkit.evaluator
        class Length:
            name, version, metrics, tracks = "length", 1, (FRAMES,), ("picture",)

            def evaluate(self, facts, tracks):
                n = len(tracks["picture"])
                yield evalkit.Measurement(FRAMES, float(n), n=n)

        evalkit.evaluate("avatar.mp4", evaluators=["length", "technical"])
    """
    if not isclass(kind):
        raise UsageError(
            f"{kind!r} is not a class; register the evaluator's class, or give the object itself where evaluators are "
            f"named: evaluate(…, evaluators=[…])"
        )
    own: Any = kind
    missing = [name for name in ("name", "version", "metrics", "evaluate") if not hasattr(own, name)]
    if missing:
        raise UsageError(f"{kind.__qualname__} is not an evaluator: it has no {', '.join(missing)}")
    metrics = {metric.name for metric in own.metrics}
    for name in registry.names(registry.EVALUATORS):
        others = () if name == own.name else registry.load(registry.EVALUATORS, name).metrics
        for metric in others:
            if metric.name in metrics:
                raise UsageError(
                    f"the metric {metric.name!r} of {own.name!r} is one of the evaluator {name!r} already; choose "
                    f"another name"
                )
    registry.add(registry.EVALUATORS, own.name, kind)
    return kind


evaluator = register
"""As a decorator: ``@evalkit.evaluator``."""


def select_evaluators(
    wanted: Iterable[str | Evaluator | type[Evaluator]] | str | None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Evaluator]:
    """Return evaluators, of names, objects and classes, in that order.

    Parameters
    ----------
    wanted : iterable of str, Evaluator or class; or a single name, or None
        All that are installed or registered, for None.
    settings : mapping of str to mapping, optional
        Settings by the evaluator's name, for those that are not objects yet.

    Raises
    ------
    UsageError
        As `load_evaluators`; for something that is none of these; and for two of one name.
    """
    if wanted is None:
        return load_evaluators(None, settings)
    given = [wanted] if isinstance(wanted, str) else list(wanted)
    settings = settings or {}
    chosen: dict[str, Evaluator] = {}
    for one in given:
        selected = _select(one, settings)
        if selected.name in chosen and not isinstance(one, str):
            raise UsageError(f"two of the evaluators are named {selected.name!r}; give one of them")
        chosen.setdefault(selected.name, selected)
    for name in settings.keys() - chosen.keys():
        there = ", ".join(chosen) or "none"
        raise UsageError(f"there are settings for the evaluator {name!r}, which is not among {there}")
    return list(chosen.values())


def _select(one: str | Evaluator | type[Evaluator], settings: Mapping[str, Mapping[str, Any]]) -> Evaluator:
    if isinstance(one, str):
        return load_evaluators([one], {one: settings.get(one, {})})[0]
    name = getattr(one, "name", None)
    if not (isinstance(name, str) and callable(getattr(one, "evaluate", None))):
        raise UsageError(f"{one!r} is not an evaluator: give its name, its class, or an object of it")
    if isinstance(one, type):
        return make_evaluator(one, name, settings.get(name, {}))
    if name in settings:
        raise UsageError(
            f"there are settings for {name!r}, an object that was made with its settings already"
        )
    return one
