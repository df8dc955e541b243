"""``evalkit rate``: ask people, and believe them only as far as they agree."""

from __future__ import annotations

import click

from evalkit.cli.lazy import LazyGroup

_COMMANDS: dict[str, tuple[str, str]] = {
    "serve": (
        "evalkit.cli.rate.serve:serve",
        "Ask people, blind: links for raters, and the pages behind them.",
    ),
    "invite": ("evalkit.cli.rate.invite:invite", "Invite more raters, or give one a new link."),
    "raters": ("evalkit.cli.rate.raters:raters", "List who was invited, and how far they have come."),
    "export": (
        "evalkit.cli.rate.export:export",
        "Write pages for raters without a server, or what is known of one.",
    ),
    "forget": ("evalkit.cli.rate.forget:forget", "Delete raters and all their answers."),
    "results": ("evalkit.cli.rate.results:results", "Say what people think, and how far to believe them."),
    "import": ("evalkit.cli.rate.importing:import_", "Bring in ratings that were collected elsewhere."),
    "plan": ("evalkit.cli.rate.plan:plan", "Raters, clips and minutes, before anybody is asked."),
    "key": ("evalkit.cli.rate.key:key", "Open the sealed key, and check that all was shown as it says."),
    "agreement": ("evalkit.cli.rate.agreement:agreement", "Say how far each metric agrees with people."),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def rate() -> None:
    """Blind ratings by people: ask for them, bring them in, and say what they mean."""
