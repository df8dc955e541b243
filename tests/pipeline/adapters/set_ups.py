"""Machines on which a program would run, or would not: a Python with chosen libraries, weights, an ffmpeg; none is real.

The libraries are names with versions: whoever imports one gets an error, so that nothing that only looks may import them.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

_MIB = 1024 * 1024
_NAMES = {
    "cv2": "opencv-python",
    "skimage": "scikit-image",
    "yaml": "PyYAML",
    "PIL": "Pillow",
    "flash_attn": "flash-attn",
    "imageio_ffmpeg": "imageio-ffmpeg",
    "huggingface_hub": "huggingface-hub",
    "pkg_resources": "setuptools",
}
"""Module to distribution, where they differ."""


@dataclass
class FakePython:
    """A Python without a library but those that are put into it.

    Parameters
    ----------
    folder : Path
        Where it is made.
    """

    folder: Path
    site: Path = field(init=False)
    program: Path = field(init=False)

    def __post_init__(self) -> None:
        self.site = self.folder / "site-packages"
        self.site.mkdir(parents=True)
        self.program = self.folder / "python"
        # -S: not the libraries of the Python that runs the tests
        self.program.write_text(
            f'#!/bin/sh\nPYTHONPATH="{self.site}:$PYTHONPATH" exec "{sys.executable}" -S "$@"\n'
        )
        self.program.chmod(0o755)

    def install(self, **versions: str) -> None:
        """Put modules in, each in its version, in place of what was there."""
        for module, version in versions.items():
            self.remove(module)
            name = _NAMES.get(module, module)
            (self.site / module).mkdir()
            (self.site / module / "__init__.py").write_text("raise RuntimeError('it was imported')\n")
            record = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
            record.mkdir()
            (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    def remove(self, module: str) -> None:
        """Take a module out."""
        name = _NAMES.get(module, module).replace("-", "_")
        for folder in (self.site / module, *self.site.glob(f"{name}-*.dist-info")):
            for file in sorted(folder.rglob("*"), reverse=True):
                file.unlink() if file.is_file() else file.rmdir()
            if folder.is_dir():
                folder.rmdir()

    def write(self, module: str, file: str, text: str) -> None:
        """Write a file of a module."""
        place = self.site / module / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def write_weights(path: Path, size_mib: float) -> None:
    """Write a file that begins as its name says and is as large, of holes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        if path.suffix == ".safetensors":
            n_bytes = int(size_mib * _MIB)
            header = json.dumps({"w": {"dtype": "U8", "shape": [n_bytes], "data_offsets": [0, n_bytes]}})
            stream.write(len(header).to_bytes(8, "little") + header.encode())
            stream.truncate(8 + len(header) + n_bytes)
        else:
            stream.write(b"\x80\x02")
            stream.truncate(int(size_mib * _MIB))


def write_ffmpeg(folder: Path, *encoders: str) -> Path:
    """Write an ffmpeg that answers what it is, and has these encoders; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = "".join(f" V....D {encoder}  {encoder}\\n" for encoder in encoders)
    script = folder / "ffmpeg"
    script.write_text(
        f"#!/bin/sh\ncase $* in *-encoders*) printf 'Encoders:\\n{listed}';; *) echo 'ffmpeg version 7';; esac\n"
    )
    script.chmod(0o755)
    return folder
