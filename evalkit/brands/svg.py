"""SVG drawings: checked before anything looks at them, then drawn. Nothing is fetched and nothing is run.

What is refused
---------------
- a document type or entities (a few of them can stand for gigabytes), processing instructions, other encodings
- elements beyond shapes, groups, gradients, masks, patterns, filters and embedded raster pictures: scripts, foreign
  objects, animation, links; text, because the fonts of one machine are not those of another
- event handlers, and references to anything but a part of the same drawing, or a raster picture inside of it
- style sheets that import, refer to the outside, or hide what they say behind escapes
- what is too large, too deep, or becomes too large when its references are followed
"""

from __future__ import annotations

import base64
import binascii
import re
from xml.etree.ElementTree import Element, ParseError

from evalkit.brands.logo import LogoError, decode_picture

MOST_CHARACTERS = 2_000_000
MOST_ELEMENTS = 20_000
"""Also when every reference is replaced by what it refers to."""
MOST_DEPTH = 100

_SVG = "http://www.w3.org/2000/svg"
_DRAWN = (
    "svg g defs symbol use title desc metadata style switch path rect circle ellipse line polyline polygon image "
    "linearGradient radialGradient stop pattern clipPath mask marker filter feBlend feColorMatrix feComponentTransfer "
    "feComposite feConvolveMatrix feDiffuseLighting feDisplacementMap feDistantLight feDropShadow feFlood feFuncA "
    "feFuncB feFuncG feFuncR feGaussianBlur feMerge feMergeNode feMorphology feOffset fePointLight feSpecularLighting "
    "feSpotLight feTile feTurbulence"
)
_RASTER = re.compile(r"data:image/(?:png|jpeg|jpg|gif|webp);base64,", re.IGNORECASE)
_URL = re.compile(r"url\s*\(\s*['\"]?\s*([^'\")\s]*)", re.IGNORECASE)
_INSTRUCTION = re.compile(r"<\?(?!xml\s)")


def rasterise_svg(data: bytes, name: str, longest_side_px: int) -> bytes:
    """Draw an SVG picture.

    Parameters
    ----------
    data : bytes
        UTF-8.
    name : str
        What to call it in errors.
    longest_side_px : int
        That the drawing is scaled to.

    Returns
    -------
    bytes
        PNG with transparency.

    Raises
    ------
    LogoError
        If it is none, could do harm, or asks for too much.
    """
    import resvg_py

    text = _text_of(data, name)
    root = _parse(text, name)
    _check(root, name)
    try:
        # Both sides bound it, whatever its shape: with one, the other could be anything.
        picture: bytes = resvg_py.svg_to_bytes(
            svg_string=text, skip_system_fonts=True, width=longest_side_px, height=longest_side_px
        )
    except ValueError as error:
        raise LogoError(f"{name} cannot be drawn: {error}") from None
    return picture


def _text_of(data: bytes, name: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LogoError(
            f"{name} is not an SVG file in UTF-8 (a compressed .svgz has to be unpacked)"
        ) from None
    if len(text) > MOST_CHARACTERS:
        raise LogoError(f"{name} has {len(text)} characters; at most {MOST_CHARACTERS} are read")
    if _INSTRUCTION.search(text):
        raise LogoError(f"{name} has a processing instruction (<?…?>); remove it")
    return text


def _parse(text: str, name: str) -> Element:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(text, forbid_dtd=True)
    except DefusedXmlException:
        raise LogoError(f"{name} has a document type or entities (<!DOCTYPE …>); remove them") from None
    except (ParseError, ValueError) as error:
        raise LogoError(f"{name} is not an SVG file: {error}") from None
    if root.tag != f"{{{_SVG}}}svg":
        raise LogoError(f"{name} is not an SVG file: it begins with {_local(root.tag)!r}")
    return root


def _check(root: Element, name: str) -> None:
    """Refuse what could do harm, element by element, without recursion."""
    waiting = [(root, 1)]
    n_elements = 0
    while waiting:
        element, depth = waiting.pop()
        n_elements += 1
        if depth > MOST_DEPTH or n_elements > MOST_ELEMENTS:
            raise LogoError(
                f"{name} is too deep or too large: at most {MOST_ELEMENTS} elements in {MOST_DEPTH} levels are drawn"
            )
        _check_element(element, name)
        waiting += [(child, depth + 1) for child in element]
    _check_growth(root, name)


def _check_element(element: Element, name: str) -> None:
    tag = _local(element.tag)
    if tag == "text":
        raise LogoError(f"{name} has text, which looks different on each machine; turn it into outlines")
    foreign = not element.tag.startswith(f"{{{_SVG}}}")  # metadata of drawing programs; nobody draws it
    if tag == "script" or not (foreign or tag in _DRAWN.split()):
        raise LogoError(f"{name} has a <{tag}>, which is not drawn; remove it")
    for attribute, value in element.attrib.items():
        key = _local(attribute).lower()
        if key.startswith("on"):
            raise LogoError(f"{name} has an event handler ({key}); remove it")
        if key in {"href", "src", "base"}:
            _check_reference(value, name)
        if not attribute.startswith("{"):
            _check_style(value, name)
    if tag == "style":
        _check_style("".join(element.itertext()), name)


def _check_reference(value: str, name: str) -> None:
    target = value.strip()
    if target.startswith("#"):
        return
    raster = _RASTER.match(target)
    if raster is None:
        raise LogoError(
            f"{name} refers to {target[:60]!r}; only parts of itself and raster pictures inside may be used"
        )
    try:
        picture = base64.b64decode(target[raster.end() :])
    except binascii.Error as error:
        raise LogoError(f"{name} has an embedded picture that cannot be read: {error}") from None
    decode_picture(picture, f"{name}: an embedded picture")


def _check_style(value: str, name: str) -> None:
    lowered = value.lower()
    if "@import" in lowered:
        raise LogoError(f"{name} imports a style sheet; put the styles inside")
    if "\\" in value:
        raise LogoError(
            f"{name} has a style with an escape (\\), which could hide a reference; write it plainly"
        )
    for target in _URL.findall(value):
        if not target.startswith("#"):
            raise LogoError(f"{name} refers to {target[:60]!r} in a style; only parts of itself may be used")


def _check_growth(root: Element, name: str) -> None:
    """Count what is drawn when every reference is replaced by what it refers to: nested ones multiply."""
    named = {element.attrib["id"]: element for element in root.iter() if "id" in element.attrib}
    for sheet in root.iter(f"{{{_SVG}}}style"):
        for target in _URL.findall("".join(sheet.itertext())):
            part = named.get(target[1:])
            if part is not None and not _local(part.tag).endswith("Gradient"):
                raise LogoError(
                    f"{name} refers to {target} in a style sheet; write everything but gradients as an attribute"
                )
    sizes: dict[Element, int] = {}
    under_way: set[Element] = set()
    waiting = [root, *named.values()]
    while waiting:
        element = waiting[-1]
        if element in sizes:
            waiting.pop()
            continue
        parts = [*element, *(named[key] for key in _references(element) if key in named)]
        open_parts = [part for part in parts if part not in sizes]
        if any(part in under_way for part in open_parts):
            raise LogoError(f"{name} has a part that refers to itself")
        if open_parts:
            under_way.add(element)
            waiting += open_parts
            continue
        under_way.discard(element)
        sizes[waiting.pop()] = total = 1 + sum(sizes[part] for part in parts)
        if total > MOST_ELEMENTS:
            raise LogoError(
                f"{name} becomes too large when its references are followed: over {MOST_ELEMENTS} elements"
            )


def _references(element: Element) -> list[str]:
    found = []
    for attribute, value in element.attrib.items():
        if _local(attribute) == "href" and value.strip().startswith("#"):
            found.append(value.strip()[1:])
        found += [target[1:] for target in _URL.findall(value) if target.startswith("#")]
    return found


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
