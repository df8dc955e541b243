"""What is installed of evalkit's extras, and what to say where something of them is missing.

A plug-in names the extra that brings its libraries as its attribute ``extra``.
"""

from __future__ import annotations

from importlib.util import find_spec

from pipeline.errors import RequestError

MODULES = {
    "brand": ("defusedxml", "resvg_py", "safetensors", "skimage"),
    "clip": ("open_clip", "torch", "torchvision"),
    "conversation": (
        "Stemmer",
        "bm25s",
        "espeakng_loader",
        "httpx2",
        "cn2an",
        "jiwer",
        "openai",
        "opencc",
        "pocketsphinx",
        "whisper_normalizer",
    ),
    "faster-whisper": ("faster_whisper",),
    "generate": ("espeakng_loader", "httpx2", "skimage", "torch"),
    "mlflow": ("mlflow",),
    "rate": ("h11", "itsdangerous", "krippendorff", "starlette", "uvicorn"),
    "ray": ("ray",),
    "search": ("optuna",),
    "serve": ("h11", "itsdangerous", "starlette", "uvicorn"),
    "speech": ("cn2an", "espeakng_loader", "jiwer", "opencc", "pocketsphinx", "whisper_normalizer"),
    "speech-quality": ("onnxruntime", "speechmos"),
    "transformers": ("torch", "transformers"),
    "wandb": ("wandb",),
}
"""What is imported of each extra of ``pyproject.toml``. A test holds both to what the sources import."""


def how_to_install(extra: str) -> str:
    """Return the command that brings an extra."""
    return f'pip install "evalkit[{extra}]"'


def find_obstacle(plugin: object) -> str:
    """Say what a plug-in lacks and how to get it; empty where its extra is complete, or it needs none.

    Parameters
    ----------
    plugin : object
        A plug-in's class, or an object of it.
    """
    return find_missing(getattr(plugin, "extra", ""))


def find_missing(extra: str) -> str:
    """Say what of an extra is missing and how to get it; empty where it is complete."""
    missing = [name for name in MODULES.get(extra, ()) if not _is_installed(name)]
    be = "is" if len(missing) == 1 else "are"
    return f"{', '.join(missing)} {be} not installed: {how_to_install(extra)}" if missing else ""


def require_extra(plugin: object, name: str) -> None:
    """Refuse a plug-in that lacks its extra.

    Parameters
    ----------
    plugin : object
        As for `find_obstacle`.
    name : str
        What to call it.

    Raises
    ------
    RequestError
        With the command that brings it.
    """
    if obstacle := find_obstacle(plugin):
        raise RequestError(f"{name} cannot be used: {obstacle}")


def explain_missing(error: ModuleNotFoundError) -> str:
    """Say which extra brings a module that was not found; empty where none does."""
    module = (error.name or "").split(".")[0]
    cures = [how_to_install(extra) for extra, modules in MODULES.items() if module in modules]
    return f"{module} is not installed: {' or '.join(cures)}" if cures else ""


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False
