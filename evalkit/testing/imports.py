"""What a source imports, read from its text, so that an import inside a function counts too."""

from __future__ import annotations

import ast


def imported_modules(source: str, package: str) -> set[str]:
    """Name every module that a source imports anywhere, relative ones in full.

    Parameters
    ----------
    source : str
        Of a module.
    package : str
        That the module lies in.

    Returns
    -------
    set of str
        ``from a import b`` counts as ``a`` and ``a.b``; a call ``load_library("a")`` as ``a``.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            found |= {f"{module}.{alias.name}" for alias in node.names} | {module}
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "load_library"
        ):
            found |= {str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)}
    return found
