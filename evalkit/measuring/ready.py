"""Be ready to measure: what a worker imports while the process that started it is still reading its arguments."""

from __future__ import annotations

import contextlib

from evalkit import registry


def get_ready() -> None:
    """Import the runner and every evaluator; one that does not load is refused where it is asked for, not here."""
    from evalkit.evaluators.load import evaluator_class
    from evalkit.measuring import runner  # noqa: F401 - imported for those who come later

    for name in registry.names(registry.EVALUATORS):
        with contextlib.suppress(registry.PluginError):
            evaluator_class(name)
