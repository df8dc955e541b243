"""``evalkit export``: a run, where experiments are tracked."""

from __future__ import annotations

from pathlib import Path

import click

from evalkit.cli.outputs import say


@click.command()
@click.argument("exporter")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--to",
    help="Where: the tracking URI of MLflow (http://host:5000, sqlite:///mlflow.db); for wandb a folder of offline runs, or online.",
)
@click.option("--project", default="evalkit", show_default=True, help="Experiment of MLflow, project of W&B.")
@click.option("--tag", "tags", multiple=True, help="NAME=VALUE: one more tag of everything.")
@click.option("--no-videos", is_flag=True, help="Leave the videos here.")
def export(
    exporter: str,
    runs: tuple[Path, ...],
    *,
    to: str | None,
    project: str,
    tags: tuple[str, ...],
    no_videos: bool,
) -> None:
    """Put RUNS where you track experiments: EXPORTER is mlflow, wandb or another that is installed.

    A configuration becomes one run of theirs: its parameters, the mean of every metric with n and 95 % interval, the values
    of its trials as steps, its videos, and what the policy says of it; report and tables go with the run as a
    whole. Exporting again updates what changed, and doubles nothing.

    Exit code: 0 when exported; 2 for wrong use, and where the other side cannot be reached.
    """
    from evalkit.api.exports import export_run
    from evalkit.errors import EvalkitError
    from evalkit.formatting import count

    own = {}
    for tag in tags:
        name, is_pair, value = tag.partition("=")
        if not is_pair or not name.strip():
            raise click.UsageError(f"--tag {tag!r} is not NAME=VALUE")
        own[name.strip()] = value
    for run in runs:
        try:
            outcome = export_run(
                run,
                exporter,
                to=to,
                project=project,
                with_videos=not no_videos,
                tags=own,
                on_message=lambda line: say(line, err=True),
            )
        except EvalkitError as error:
            raise click.UsageError(str(error)) from None
        except OSError as error:
            raise click.UsageError(
                f"{error.filename or run} cannot be read or written: {error.strerror}"
            ) from None
        for note in outcome.notes:
            say(f"note: {note}")
        say(
            f"{run}: {count(outcome.n_new, 'new configuration')}, {outcome.n_updated} updated, {outcome.n_unchanged} as before; "
            f"{count(outcome.n_videos, 'video')}"
        )
        say(outcome.where)
