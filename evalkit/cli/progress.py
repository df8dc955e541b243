"""A bar on a terminal while clips are measured."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evalkit.measuring.pool import BatchProgress


@contextlib.contextmanager
def clip_progress(doing: str = "measuring", what: str = "clip") -> Iterator[Callable[[BatchProgress], None]]:
    """Give what shows the progress of a batch of clips, or of others: a bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from evalkit.formatting import count

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0, visible=False)

        def show(progress: BatchProgress) -> None:
            text = f"{doing}, {progress.n_over} of {count(progress.n_clips, what)} done"
            bar.update(task, completed=progress.share, description=text, visible=True)

        yield show
