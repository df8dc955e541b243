"""Evaluators of a script or a notebook: known to its process alone, beside those that are installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from evalkit import registry
from evalkit.arguments import wrong_argument
from evalkit.errors import UsageError
from evalkit.evaluators.base import Evaluator, Measured
from evalkit.evaluators.load import evaluator_class, find_incomplete, load_evaluators, make_evaluator
from evalkit.types import ClipFacts, Reason, Track

Kind = TypeVar("Kind", bound=type[Evaluator])


def register(kind: Kind) -> Kind:
    """Make an evaluator's class known by its name, in this process and until it ends.

    Afterwards the name can be given wherever evaluators are named, and `evalkit.evaluate` measures with it by default.
    Running the definition again replaces it. A finished evaluator is better installed, through the entry-point group
    ``evalkit.evaluators``: other processes, and sweeps, know only those.

    Parameters
    ----------
    kind : class
        A subclass of `evalkit.Evaluator`.

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
        class Length(evalkit.Evaluator):
            name, version, metrics, tracks = "length", 1, (FRAMES,), ("picture",)

            def measure(self, facts, tracks):
                n = len(tracks["picture"])
                return evalkit.Measured((evalkit.Measurement(FRAMES, float(n), n=n),))

        evalkit.evaluate("avatar.mp4", evaluators=["length", "technical"])
    """
    if not (isinstance(kind, type) and issubclass(kind, Evaluator)):
        raise UsageError(
            f"{kind!r} is not a subclass of evalkit.Evaluator; an object of one is given where evaluators are named: "
            f"evaluate(…, evaluators=[…])"
        )
    if undefined := _undefined(kind):
        raise UsageError(f"{kind.__qualname__} is not complete: it has no {', '.join(undefined)}")
    metrics = {metric.name for metric in kind.metrics}
    for name in registry.names(registry.EVALUATORS):
        others = () if name == kind.name else evaluator_class(name).metrics
        for metric in others:
            if metric.name in metrics:
                raise UsageError(
                    f"the metric {metric.name!r} of {kind.name!r} is one of the evaluator {name!r} already; choose "
                    f"another name"
                )
    registry.add(registry.EVALUATORS, kind.name, kind)
    return kind


evaluator = register
"""As a decorator: ``@evalkit.evaluator``."""


class Incomplete(Evaluator):
    """Stands for an evaluator that lacks the extra with its libraries: every metric is absent, and the reason says why.

    Parameters
    ----------
    kind : class
        The evaluator.
    obstacle : str
        What is missing and how to get it.
    """

    def __init__(self, kind: type[Evaluator], obstacle: str) -> None:
        self._reason = Reason("extra_not_installed", obstacle)
        self.name, self.version, self.metrics = kind.name, kind.version, kind.metrics  # type: ignore[misc]
        self.reasons = (self._reason,)  # type: ignore[misc]

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:  # noqa: ARG002 - nothing is looked at
        """Return what `measure_nothing` does."""
        return self.measure_nothing()

    def measure_nothing(self) -> Measured:
        """Return every metric with the reason."""
        return self.absent(self._reason)


def list_evaluators(wanted: object) -> list[Any]:
    """Return evaluators as a list: a single name, object or class too.

    Raises
    ------
    UsageError
        If it is neither one of these nor an iterable.
    """
    if isinstance(wanted, str | Evaluator) or (isinstance(wanted, type) and issubclass(wanted, Evaluator)):
        return [wanted]
    if isinstance(wanted, bytes | Mapping) or not isinstance(wanted, Iterable):
        raise wrong_argument("evaluators", wanted, "a name, as evalkit list shows it, or a list of them")
    return list(wanted)


def installed_names(wanted: object) -> list[str]:
    """Return the names of evaluators that other processes are to measure with: given by name, or as installed classes.

    Raises
    ------
    UsageError
        As `list_evaluators`; and for an object, whose settings would be lost, or a class that is not installed.
    """
    return [_installed_name(one) for one in list_evaluators(wanted)]


def _installed_name(one: object) -> str:
    if isinstance(one, str):
        return one
    kind = one if isinstance(one, type) else type(one)
    if not issubclass(kind, Evaluator):
        raise UsageError(f"{one!r} is not an evaluator: give its name, as evalkit list shows it")
    name = getattr(kind, "name", kind.__qualname__)
    if name not in registry.names(registry.EVALUATORS) or evaluator_class(name) is not kind:
        raise UsageError(_not_installed(name))
    if kind is not one:
        raise UsageError(
            f"the evaluator {name!r} is given as an object, and others are to measure with it: give its name, "
            f"{name!r}, and what it is set to as settings={{{name!r}: {{…}}}}"
        )
    return name


def select_evaluators(
    wanted: Iterable[str | Evaluator | type[Evaluator]] | str | Evaluator | type[Evaluator] | None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Evaluator]:
    """Return evaluators, of names, objects and classes, in that order.

    Parameters
    ----------
    wanted : iterable of str, Evaluator or class; or a single one, or None
        All that are installed or registered, for None; one that lacks its extra then has a reason for every metric.
    settings : mapping of str to mapping, optional
        Settings by the evaluator's name, for those that are not objects yet.

    Raises
    ------
    UsageError
        As `load_evaluators`; for something that is none of these; and for two of one name.
    """
    settings = settings or {}
    if wanted is None:
        names = registry.names(registry.EVALUATORS)
        incomplete = find_incomplete(names)
        usable = load_evaluators(
            None, {name: given for name, given in settings.items() if name not in incomplete}
        )
        stand_ins = [Incomplete(evaluator_class(name), obstacle) for name, obstacle in incomplete.items()]
        return sorted([*usable, *stand_ins], key=lambda evaluator: names.index(evaluator.name))
    given = list_evaluators(wanted)
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


def require_installed(names: Iterable[str]) -> None:
    """Refuse evaluators that this process alone knows, where others are to measure with them.

    Raises
    ------
    UsageError
        If one was registered and not installed.
    """
    for name in names:
        if registry.is_session_only(registry.EVALUATORS, name):
            raise UsageError(_not_installed(name))


def _not_installed(name: str) -> str:
    return (
        f"the evaluator {name!r} is known to this process alone, and others are to measure with it: install it as a "
        f"plug-in of the entry-point group {registry.EVALUATORS} and give its name, or leave it out"
    )


def _select(one: str | Evaluator | type[Evaluator], settings: Mapping[str, Mapping[str, Any]]) -> Evaluator:
    if isinstance(one, str):
        return load_evaluators([one], {one: settings.get(one, {})})[0]
    if isinstance(one, type) and issubclass(one, Evaluator):
        return make_evaluator(one, settings.get(one.name, {}))
    if not isinstance(one, Evaluator):
        raise UsageError(f"{one!r} is not an evaluator: give its name, its class, or an object of it")
    if one.name in settings:
        raise UsageError(
            f"there are settings for {one.name!r}, an object that was made with its settings already"
        )
    return one


def _undefined(kind: type[Evaluator]) -> list[str]:
    """Name what an evaluator must have and this one has not."""
    declared = [name for name in ("name", "version", "metrics") if not hasattr(kind, name)]
    return [*declared, *sorted(kind.__abstractmethods__)]
