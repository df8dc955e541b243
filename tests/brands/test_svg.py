"""SVG drawings that would run, fetch or swell: each is refused by name, and nothing is asked of the network."""

from __future__ import annotations

import base64
import io
import socket
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from evalkit.brands.logo import LogoError, load_logo

if TYPE_CHECKING:
    from pathlib import Path

HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 60 40">'
)
SHAPE = '<path fill="#1456a0" d="M0 0h40l-20 40z"/><circle fill="#f2a900" cx="48" cy="28" r="12"/>'


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def write(folder: Path, text: str) -> Path:
    path = folder / "logo.svg"
    path.write_text(text, "utf-8")
    return path


def test_a_drawing_is_drawn_in_its_colours_and_transparent_elsewhere(tmp_path: Path) -> None:
    logo = load_logo(write(tmp_path, HEAD + SHAPE + "</svg>")).pixels
    assert logo.shape == (342, 512, 4)  # 60 to 40, the longer side 512
    assert logo[50, 170].tolist() == [0x14, 0x56, 0xA0, 255]
    assert logo[240, 410].tolist() == [0xF2, 0xA9, 0x00, 255]
    assert logo[20, 500, 3] == 0


def test_gradients_parts_of_its_own_and_embedded_pictures_are_drawn(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), (0, 128, 0), np.uint8)).save(buffer, "PNG")
    picture = base64.b64encode(buffer.getvalue()).decode()
    text = (
        f'{HEAD}<defs><linearGradient id="g"><stop stop-color="#f00"/></linearGradient><path id="p" d="M0 0h20v20z"/>'
        f'</defs><style>.a{{fill:url(#g)}}</style><use class="a" xlink:href="#p"/>'
        f'<image x="30" width="30" height="40" href="data:image/png;base64,{picture}"/></svg>'
    )
    logo = load_logo(write(tmp_path, text)).pixels
    assert logo[20, 100].tolist() == [255, 0, 0, 255]
    assert logo[150, 400].tolist() == [0, 128, 0, 255]


def nested_uses(levels: int) -> str:
    parts = ['<rect id="a0" width="1" height="1"/>']
    parts += [f'<g id="a{n}">' + f'<use href="#a{n - 1}"/>' * 10 + "</g>" for n in range(1, levels)]
    return f"{HEAD}<defs>{''.join(parts)}</defs><use href='#a{levels - 1}'/>{SHAPE}</svg>"


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
CASES = {
    "script": (f"{HEAD}<script>alert(1)</script>{SHAPE}</svg>", "has a <script>"),
    "foreign script": (
        f'{HEAD}<h:script xmlns:h="http://www.w3.org/1999/xhtml"/>{SHAPE}</svg>',
        "has a <script>",
    ),
    "event handler": (f'{HEAD}<g onload="alert(1)">{SHAPE}</g></svg>', r"event handler \(onload\)"),
    "foreign object": (f"{HEAD}<foreignObject/>{SHAPE}</svg>", "has a <foreignObject>"),
    "animation": (f'{HEAD}<animate attributeName="x"/>{SHAPE}</svg>', "has a <animate>"),
    "http picture": (
        f'{HEAD}<image href="http://example.org/a.png"/>{SHAPE}</svg>',
        "refers to 'http://example.org",
    ),
    "file picture": (
        f'{HEAD}<image xlink:href="file:///etc/passwd"/>{SHAPE}</svg>',
        "refers to 'file:///etc/passwd",
    ),
    "path picture": (f'{HEAD}<image href="../secret.png"/>{SHAPE}</svg>', r"refers to '\.\./secret\.png'"),
    "svg in data": (
        f'{HEAD}<image href="data:image/svg+xml;base64,PHN2Zz4="/>{SHAPE}</svg>',
        "refers to 'data:image/svg",
    ),
    "use of a file": (f'{HEAD}<use href="other.svg#a"/>{SHAPE}</svg>', "refers to 'other.svg#a'"),
    "base": (f'{HEAD[:-1]} xml:base="http://example.org/">{SHAPE}</svg>', "refers to 'http://example.org/'"),
    "url in an attribute": (f'{HEAD}<g fill="url(http://example.org/#p)">{SHAPE}</g></svg>', "in a style"),
    "url in a style": (
        f"{HEAD}<g style=\"fill: url( 'x.svg#p' )\">{SHAPE}</g></svg>",
        r"refers to 'x\.svg#p' in a style",
    ),
    "url in a sheet": (f"{HEAD}<style>g{{filter:url(x.svg#f)}}</style>{SHAPE}</svg>", "in a style"),
    "import": (f"{HEAD}<style>@import 'x.css';</style>{SHAPE}</svg>", "imports a style sheet"),
    "escape": (f'{HEAD}<g style="fill:\\75rl(x.svg#p)">{SHAPE}</g></svg>', "a style with an escape"),
    "instruction": (f'<?xml-stylesheet href="x.css"?>{HEAD}{SHAPE}</svg>', "processing instruction"),
    "billion laughs": (
        f'<!DOCTYPE s [<!ENTITY l0 "ha">{LAUGHS}]>{HEAD}<title>&l9;</title>{SHAPE}</svg>',
        "entities",
    ),
    "external entity": (
        f'<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]>{HEAD}<title>&x;</title>{SHAPE}</svg>',
        "document type or entities",
    ),
    "document type": (
        f'<!DOCTYPE svg SYSTEM "http://example.org/svg.dtd">{HEAD}{SHAPE}</svg>',
        "document type",
    ),
    "billion uses": (nested_uses(9), "becomes too large when its references are followed"),
    "pattern in a sheet": (
        f'{HEAD}<pattern id="p"/><style>g{{fill:url(#p)}}</style>{SHAPE}</svg>',
        "refers to #p in a style sheet",
    ),
    "circle of uses": (
        f'{HEAD}<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g></svg>',
        "refers to itself",
    ),
    "too deep": (HEAD + "<g>" * 200 + SHAPE + "</g>" * 200 + "</svg>", "too deep or too large"),
    "too many": (HEAD + "<g/>" * 30_000 + "</svg>", "too deep or too large"),
    "too long": (HEAD + "<!--" + "x" * 2_000_000 + "--></svg>", "characters; at most 2000000"),
    "text": (f"{HEAD}<text>Kite</text>{SHAPE}</svg>", "has text, .* turn it into outlines"),
    "no xml": ("<svg", "is not an SVG file"),
    "no svg": ("<html/>", "is not an SVG file: it begins with 'html'"),
    "blank": (f"{HEAD}</svg>", "shows nothing"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_could_do_harm_is_refused(tmp_path: Path, case: str) -> None:
    text, said = CASES[case]
    with pytest.raises(LogoError, match=said):
        load_logo(write(tmp_path, text))


def test_an_embedded_picture_that_announces_too_much_is_refused(tmp_path: Path) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 12_000, 12_000, 8, 6, 0, 0, 0)
    picture = (
        b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\x10IDAT"
    )
    embedded = base64.b64encode(picture).decode()
    text = f'{HEAD}<image href="data:image/png;base64,{embedded}"/>{SHAPE}</svg>'
    with pytest.raises(LogoError, match="embedded picture has 12000×12000 pixels"):
        load_logo(write(tmp_path, text))


def test_a_shape_that_would_take_all_memory_is_small(tmp_path: Path) -> None:
    text = HEAD.replace('viewBox="0 0 60 40"', 'width="99" height="1e9"') + SHAPE + "</svg>"
    with pytest.raises(LogoError, match=r"too small|shows nothing"):
        load_logo(write(tmp_path, text))


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_bytes((HEAD + SHAPE + "</svg>").encode("utf-16"))
    with pytest.raises(LogoError, match="is not an SVG file in UTF-8"):
        load_logo(tmp_path / "logo.svg")
