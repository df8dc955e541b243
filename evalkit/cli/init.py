"""``evalkit init``: a sweep's file to start from."""

from __future__ import annotations

from pathlib import Path

import click

from evalkit.cli.outputs import say


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default=Path("sweep.yaml"))
@click.option("--schema", "as_schema", is_flag=True, help="Print the JSON schema of such files instead.")
def init(file: Path, as_schema: bool) -> None:
    """Write a sweep's FILE to start from (default: sweep.yaml), each option with its meaning beside it.

    Exit code: 0 when written, 2 where the file is there already or cannot be written.
    """
    import json

    from evalkit.sweeps.config import SAMPLE, SweepConfig

    if as_schema:
        click.echo(json.dumps(SweepConfig.model_json_schema(), indent=2))
        return
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(SAMPLE.read_text("utf-8"))
    except FileExistsError:
        raise click.UsageError(f"{file} is there already; name another file") from None
    except OSError as error:
        raise click.UsageError(f"{file} cannot be written: {error.strerror}") from None
    say(f"wrote {file}; evalkit sweep {file} --dry-run says what it would do")
