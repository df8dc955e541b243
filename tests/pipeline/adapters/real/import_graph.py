"""What a program imports on its way, read from its source: nothing of it is run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_BLOCKS = ast.ClassDef | ast.With | ast.For | ast.While


@dataclass
class Graph:
    """Files of a checkout that are imported, and modules that are not of it.

    Parameters
    ----------
    roots : sequence of Path
        Folders in which it finds its own modules; the first is the checkout.
    always : set of str
        Foreign modules that are imported whatever happens.
    sometimes : set of str
        Foreign modules that are imported in a function, under a condition, or where a failure is caught.
    files : dict of Path to bool
        Its own files that are reached, and whether they are reached whatever happens.
    """

    roots: Sequence[Path]
    always: set[str] = field(default_factory=set)
    sometimes: set[str] = field(default_factory=set)
    files: dict[Path, bool] = field(default_factory=dict)

    def follow(self, file: Path, module: str = "__main__", *, is_certain: bool = True) -> None:
        """Add a file and all that it imports."""
        if file.is_dir() or (file in self.files and (self.files[file] or not is_certain)):
            return
        self.files[file] = is_certain
        tree = ast.parse(file.read_text("utf-8", "replace"))
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        for node, at_once in _imports(tree.body, is_certain):
            for name in self._names(node, package):
                self.add(name, is_certain=at_once)

    def add(self, name: str, *, is_certain: bool = True) -> None:
        """Add a module and all that it imports, its packages first."""
        parts = name.split(".")
        if self._find(parts[0]) is None:
            if parts[0] not in sys.stdlib_module_names:
                (self.always if is_certain else self.sometimes).add(parts[0])
            return
        for end in range(1, len(parts) + 1):
            found = self._find(".".join(parts[:end]))
            if found is not None:
                self.follow(found, ".".join(parts[:end]), is_certain=is_certain)

    def _names(self, node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            return
        parents = package.split(".")
        base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
        start = ".".join(filter(None, (base, node.module)))
        yield start
        yield from (f"{start}.{alias.name}" for alias in node.names if self._find(f"{start}.{alias.name}"))

    def _find(self, name: str) -> Path | None:
        for root in self.roots:
            place = root.joinpath(*name.split("."))
            for file in (place / "__init__.py", place.with_suffix(".py"), place):
                if file.is_file() or (file == place and place.is_dir()):
                    return file
        return None


def _imports(body: Sequence[ast.AST], is_certain: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Yield the imports of some statements, and whether each is done whatever happens."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, is_certain
        elif isinstance(node, ast.Try):
            yield from _imports(node.body, is_certain=False)
            for handler in node.handlers:
                yield from _imports(handler.body, is_certain=False)
            yield from _imports([*node.orelse, *node.finalbody], is_certain)
        elif isinstance(node, ast.If):
            is_main = ast.unparse(node.test) == "__name__ == '__main__'"
            yield from _imports(node.body, is_certain and is_main)
            yield from _imports(node.orelse, is_certain=False)
        elif isinstance(node, _FUNCTIONS):
            yield from _imports(node.body, is_certain=False)
        elif isinstance(node, _BLOCKS):
            yield from _imports(node.body, is_certain)
