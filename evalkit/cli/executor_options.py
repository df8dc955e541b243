"""The options of a command for where its work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalkit.errors import EvalkitError

RAY = "ray"
_OPTIONS = (
    click.option(
        "--executor",
        metavar="NAME",
        help="Where the work is done: processes, in_process, ray, or a plug-in's.",
    ),
    click.option(
        "--ray-address",
        metavar="ADDRESS",
        help="Of the cluster, for --executor ray: auto, HOST:PORT or ray://HOST:PORT.",
    ),
)


def executor_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options ``--executor`` and ``--ray-address``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def refuse(error: EvalkitError, *, kept: str = "") -> NoReturn:
    """End a command: with 1 where an executor cannot go on, with 2 for wrong use.

    Parameters
    ----------
    error : EvalkitError
    kept : str
        What is said of the work that was done, where an executor ended.
    """
    from evalkit.execution.executors import ExecutorError

    if isinstance(error, ExecutorError):
        raise click.ClickException(f"{error}{kept and '; '}{kept}") from None
    raise click.UsageError(str(error)) from None


def chosen_executor(executor: str | None, ray_address: str | None) -> tuple[str | None, dict[str, str]]:
    """Return the executor that the options choose, with what they set; None where they choose none.

    >>> chosen_executor(None, "auto")
    ('ray', {'address': 'auto'})

    Raises
    ------
    click.UsageError
        If an address is given to another executor.
    """
    if ray_address is None:
        return executor, {}
    if executor not in {None, RAY}:
        raise click.UsageError(f"--ray-address belongs to --executor {RAY}, and --executor is {executor}")
    return RAY, {"address": ray_address}
