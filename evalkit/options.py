"""Configuration files: YAML that names a key once, read into groups of options.

The groups themselves, their errors and the hash of plain data are `pipeline.options`.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from evalkit.errors import UsageError
from pipeline.errors import Mistake, RequestError
from pipeline.options import PlainData, line_in_file

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

Group = TypeVar("Group", bound=PlainData)

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_NUMBERS = {f"{_TAG}int", f"{_TAG}float"}
_OTHER_BASE = re.compile(r"(?P<eight>[-+]?0[0-7_]+)|(?P<two>[-+]?0b.*)|(?P<sixty>[^:]+:.*)", re.DOTALL)
_DEEPEST = 8
"""How far down errors name lines."""
_PLAIN_BOOL = re.compile("true|false", re.IGNORECASE)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}$")
_DROPPED = {f"{_TAG}timestamp", f"{_TAG}value"}


class ConfigError(UsageError):
    """A configuration that is not valid."""


Place = tuple[int | str, ...]
"""The keys and numbers of items that lead to a value."""


class Document(dict[str, Any]):
    """What a YAML file says.

    Parameters
    ----------
    data : mapping
    source : str
        The file; empty where there is none.
    lines : mapping
        The line of each key and item, from 1, by its place.
    changed : collection of tuple
        Places whose values are not those of the file.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        source: str = "",
        lines: Mapping[Place, int] | None = None,
        changed: Collection[Place] = (),
    ) -> None:
        super().__init__(data or {})
        self.source = source
        self.lines = dict(lines or {})
        self.changed = frozenset(changed)

    def line_of(self, place: Place) -> str:
        """Name the line of a place, as in `` (line 3)``; empty where its value is not from the file."""
        if any(place[: len(one)] == one for one in self.changed):
            return ""
        return line_in_file(place, self.lines)

    def changed_by(self, changes: Mapping[str, Any]) -> Document:
        """Return it with other values, of which no line tells."""
        return Document(
            {**self, **changes}, self.source, self.lines, {*self.changed, *((n,) for n in changes)}
        )

    def below(self, name: str) -> Document:
        """Return it as what stands below a name of something larger."""
        lines = {(name, *place): line for place, line in self.lines.items()}
        return Document({name: dict(self)}, self.source, lines, {(name, *place) for place in self.changed})


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a configuration was read: no part of what it says, so all are equal.

    Parameters
    ----------
    document : Document
        Empty where it was read from no file.
    """

    document: Document = field(default_factory=Document)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin)

    def __hash__(self) -> int:
        return 0

    @contextmanager
    def blaming(self, *place: int | str, where: str = "") -> Iterator[None]:
        """Say of what is refused meanwhile in which file and line it stands, where it is read from one.

        Parameters
        ----------
        *place : int or str
            What is looked at.
        where : str
            What to call it before each line.

        Raises
        ------
        ConfigError
            In place of every `UsageError` and `RequestError`.
        """
        try:
            yield
        except (UsageError, RequestError) as error:
            found = error.mistakes if isinstance(error, RequestError) else ()
            mistakes = found or [Mistake((), said) for said in str(error).splitlines()]
            raise ConfigError(
                "\n".join(self._blame((*place, *mistake.place), mistake.text, where) for mistake in mistakes)
            ) from None

    def _blame(self, place: Place, text: str, where: str) -> str:
        """Write a line for a mistake, with file and line where these are known."""
        line = self.document.line_of(place)
        source = self.document.source if line else ""
        return "".join(f"{part}: " for part in (source, where) if part) + text + line


def explain_mistakes(error: Exception, *documents: Document) -> str:
    """Say what an error says, each mistake with the file and the line of the first document that has it.

    Parameters
    ----------
    error : Exception
        As a rule a `pipeline.errors.RequestError` that names places.
    *documents : Document
        What the settings were read from.
    """
    if not isinstance(error, RequestError) or not error.mistakes:
        return str(error)
    return "\n".join(dict.fromkeys(_explain_mistake(mistake, documents) for mistake in error.mistakes))


def _explain_mistake(mistake: Mistake, documents: Iterable[Document]) -> str:
    for document in documents:
        if line := document.line_of(mistake.place):
            return f"{document.source}: {mistake.text}{line}"
    return mistake.text


def read_group(
    kind: type[Group], data: Mapping[str, Any], source: str, *, context: Mapping[str, Any] | None = None
) -> Group:
    """Check plain data against a group of options, with errors that people can read.

    Parameters
    ----------
    kind : type
        The group.
    data : mapping
        Plain values, paths or dates; errors in a `Document` name the line.
    source : str
        What the data is called in errors.
    context : mapping, optional
        What the group's validators may look things up in.

    Raises
    ------
    ConfigError
        One line per mistake, each with `source` before it.
    """
    lines = data.lines if isinstance(data, Document) else None
    return kind.read(data, "option", source=source, error=ConfigError, context=context, lines=lines)


def read_yaml(path: Path, form: str = "a mapping of option names to values") -> Document:
    """Read a YAML file that is a mapping.

    Parameters
    ----------
    path : Path
    form : str
        What is in it, for the error where it is no mapping.

    Raises
    ------
    ConfigError
        If it cannot be read, is not valid YAML or not a mapping, or names a key twice.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    data, root = _parse(text, str(path))
    if data is None:
        raise ConfigError(f"{path} is empty; it must be {form}")
    if not isinstance(data, dict):
        given = "a list" if isinstance(data, list) else f"{str(data)[:40]!r}"
        raise ConfigError(f"{path} must be {form}, not {given}")
    return Document(data, str(path), dict(_lines_of(root, ())))


def parse_yaml(text: str, source: str) -> Any:
    """Read YAML that can be understood in one way only.

    A key that is there twice is refused, and so is what YAML 1.1 reads otherwise than it is written: a number in base 8
    (``010`` is 8), 2 or 60 (``1:30`` is 90, ``16:9`` is 969) or with underscores (``2026_11``), and a word for true or false
    (``no``, which is also a language). A time of a day is the text that was written.

    Parameters
    ----------
    text : str
    source : str
        What it is called in errors: a file, a flag.

    Raises
    ------
    ConfigError
        If it is not valid YAML, or can be understood in two ways; with the line.
    """
    return _parse(text, source)[0]


def _lines_of(node: yaml.Node | None, place: Place) -> Iterator[tuple[Place, int]]:
    """Give the line of each key and item below a node; what an alias repeats stands where it was first written."""
    if len(place) > _DEEPEST:  # an alias to what it is in
        return
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*place, str(key.value))
            yield below, key.start_mark.line + 1
            yield from _lines_of(value, below)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            below = (*place, number)
            yield below, item.start_mark.line + 1
            yield from _lines_of(item, below)


def _parse(text: str, source: str) -> tuple[Any, yaml.Node | None]:
    """Return what YAML says, and the nodes it was read from; errors as `parse_yaml`."""
    try:
        loader = _Strict(text)
        root = loader.get_single_node()
        return (None if root is None else loader.construct_document(root)), root
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}" if mark is not None else ""
        said = error.problem or error.context
        raise ConfigError(f"{source} is not valid YAML{place}: {said}{_hint_at(error)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{source} is not valid YAML, line {line}: it holds the character U+{error.character:04X}, which no text has"
        ) from None
    except RecursionError:
        raise ConfigError(
            f"{source} is not valid YAML: its lists or mappings are nested too deeply"
        ) from None


def _hint_at(error: yaml.MarkedYAMLError) -> str:
    """Say what is the likely mistake, where the parser says only what it expected."""
    context, problem = error.context or "", error.problem or ""
    if "\\t" in problem:
        return "; indent with spaces, not with tabs"
    if "flow" in context and error.context_mark is not None:
        line = error.context_mark.line + 1
        return f"; the [ or {{ of line {line} is not closed, or a text with a : or , needs quotes"
    if "mapping values" in problem:
        return "; a text with a colon needs quotes, and a dash a space behind it"
    if "block" in context:
        return "; what belongs together begins in the same column"
    return ""


class _Strict(yaml.SafeLoader):
    """YAML lets the second of two equal keys win, and reads much otherwise than it is written; here both are errors."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the library's, with its name
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _DROPPED]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        first: dict[Any, yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # refused when it is constructed
            read = key.value if key.tag == _MERGE else self.construct_object(key)
            # 1 and 1.0 are one key of a mapping, 1 and "1" are one to people
            other = first.get(read, first.get(str(read)))
            if other is not None:
                words = f"the key {key.value!r} is there twice, first in line {other.start_mark.line + 1}"
                raise yaml.composer.ComposerError(None, None, words, key.start_mark)
            first[read] = first[str(read)] = key
        return node

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        if (why := _why_ambiguous(node)) is not None:
            read = self.construct_object(node)
            written = str(read).lower() if isinstance(read, bool) else read
            words = (
                f"{node.value} is {written} in YAML, which reads it {why}: write {written} if that is meant, or "
                f"{node.value!r} in quotes for the text"
            )
            raise yaml.composer.ComposerError(None, None, words, node.start_mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, ArithmeticError, LookupError, AttributeError) as error:  # what yaml lets through
            why = f": {error}" if isinstance(error, ValueError) else ""
            words = f"{str(node.value)[:80]!r} is no {node.tag.rpartition(':')[2]}{why}"
            raise yaml.constructor.ConstructorError(None, None, words, node.start_mark) from None


def _why_ambiguous(node: yaml.ScalarNode) -> str | None:
    """Say how YAML reads what it reads otherwise than it is written."""
    if node.tag == f"{_TAG}bool" and not _PLAIN_BOOL.fullmatch(node.value):
        return "as a word for true or false"
    if node.tag not in _NUMBERS:
        return None
    found = _OTHER_BASE.fullmatch(node.value)
    if found is not None:
        return f"in base {({'eight': 8, 'two': 2, 'sixty': 60})[str(found.lastgroup)]}"
    return "without its underscores" if "_" in node.value else None


_Strict.add_implicit_resolver(f"{_TAG}timestamp", _DATE, list("0123456789"))
