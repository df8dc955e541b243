"""A small page that needs nothing but itself: no network, no script, light and dark, on a phone and on paper."""

from __future__ import annotations

from html import escape

_STYLE = """
:root{color-scheme:light dark;--ink:#1f2933;--soft:#5b6672;--line:#dde2e8;--paper:#fff;--card:#f6f8fa;
--pass:#00694d;--warn:#8a5a00;--fail:#b03a00;--accent:#0072b2}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaee;--soft:#a3adb8;--line:#39424d;--paper:#14181d;--card:#1c2229;
--pass:#3ecf9f;--warn:#f0b840;--fail:#ff8a5c;--accent:#56b4e9}}
*{box-sizing:border-box}
body{margin:0 auto;padding:2.5rem 1.25rem 4rem;max-width:64rem;background:var(--paper);color:var(--ink);
font:1rem/1.5 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:1.75rem;line-height:1.25;margin:0 0 .5rem}
h2{font-size:1.2rem;margin:2.25rem 0 .5rem}
p,ul{margin:.35rem 0}
small,.soft{color:var(--soft);font-size:.875rem}
.pass{color:var(--pass)}.warn,.waived{color:var(--warn)}.fail{color:var(--fail)}
.status{font-weight:600;white-space:nowrap}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th,td{padding:.55rem .75rem .55rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{font-size:.875rem;font-weight:600;color:var(--soft)}
th[scope=row]{color:var(--ink);font-size:1rem}
th small{font-weight:400;display:inline-block;min-width:12rem}
td[data-name=asked]{min-width:7.5rem}
.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
svg{display:block}
@media(max-width:40rem){thead{position:absolute;left:-999rem}tr{display:block;padding:.75rem 0;
border-bottom:1px solid var(--line)}td,th[scope=row]{display:block;border:0;padding:.1rem 0}.number{text-align:left}
td[data-name]::before{content:attr(data-name) ": ";color:var(--soft);font-size:.875rem}td:empty{display:none}}
@media print{body{padding:0}h2{break-after:avoid}tr{break-inside:avoid}}
"""


def page(title: str, body: str) -> str:
    """Return a whole HTML page.

    Parameters
    ----------
    title : str
        Plain text.
    body : str
        HTML, with everything that came from elsewhere escaped.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def bullets(items: list[str] | tuple[str, ...]) -> str:
    """Return plain texts as a list; nothing of nothing."""
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>" if items else ""
