"""The pages that raters see, as a program reads them: forms, what can be answered, and videos."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Form:
    """A form of a page.

    Parameters
    ----------
    action : str
        Where it is sent.
    hidden : dict of str to str
        What is sent as it is.
    choices : dict of str to list of str
        By name of a field: the values that are offered, in order.
    """

    action: str
    hidden: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Page:
    """A page: its language, its forms, the addresses of its videos, and those of what belongs to it."""

    language: str = ""
    forms: list[Form] = field(default_factory=list)
    videos: list[str] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)

    def form(self, action: str) -> Form | None:
        """Return the form that goes to a place; None where there is none."""
        return next((form for form in self.forms if form.action == action), None)


def read_page(text: str) -> Page:
    """Read a page.

    >>> page = read_page('<form action="/answer"><input type="radio" name="overall" value="5"></form><video src="/clip/x">')
    >>> page.forms[0].choices, page.videos
    ({'overall': ['5']}, ['/clip/x'])
    """
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._form: Form | None = None
        self._select: str | None = None
        self._is_in_video = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.page.language = found.get("lang", "")
        elif tag == "form":
            self._form = Form(found.get("action", ""))
            self.page.forms.append(self._form)
        elif tag == "video" or (tag == "source" and self._is_in_video):
            self._is_in_video = True
            self.page.videos += [found["src"]] if found.get("src") else []
        elif tag == "script" and found.get("src"):
            self.page.assets.append(found["src"])
        elif tag == "link" and found.get("rel") == "stylesheet":
            self.page.assets.append(found["href"])
        elif self._form is not None:
            self._read_field(self._form, tag, found)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "video":
            self._is_in_video = False

    def _read_field(self, form: Form, tag: str, found: dict[str, str]) -> None:
        name, value, kind = found.get("name", ""), found.get("value", ""), found.get("type", "")
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select is not None:
            form.choices.setdefault(self._select, []).append(value)
        elif tag == "input" and kind == "hidden":
            form.hidden[name] = value
        elif name and (kind == "radio" or tag == "button"):
            form.choices.setdefault(name, []).append(value)
