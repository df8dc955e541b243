"""A sign-off as a page: the verdict first, then every rule with its evidence."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from evalkit.decisions.ledger import ledger_entry
from evalkit.decisions.signoff import Decision
from evalkit.reports.page import bullets, page
from evalkit.words import three_digits

if TYPE_CHECKING:
    from evalkit.decisions.signoff import Line, Signoff

_CLASSES = {Decision.PASS: "pass", Decision.PASS_WITH_WAIVERS: "waived", Decision.FAIL: "fail"}


def signoff_page(signoff: Signoff) -> str:
    """Return a self-contained HTML page."""
    decision, _, rest = signoff.answer.partition(":")
    waivers = [f"{one.metric}: {one.name}, until {one.expires}" for one in signoff.unused_waivers]
    hashes = [
        f"{name}: {value or 'none recorded'}" for name, value in ledger_entry(signoff)["sha256"].items()
    ]
    body = f"""
<h1><span class="{_CLASSES[signoff.decision]}">{escape(decision)}</span></h1>
<p>{escape(rest.strip())}</p>
<p class="soft">{escape(signoff.title)} · {escape(signoff.policy.title)} ·
{signoff.n_attempted} clips attempted · {signoff.judged_at:%Y-%m-%d %H:%M} UTC</p>
<h2>Gates</h2>
<div class="scroll"><table>
<thead><tr><th>Outcome</th><th>Metric</th><th class="number">Value [95 %]</th><th>Asked</th>
<th class="number">n / attempted</th><th>Evidence</th></tr></thead>
<tbody>{"".join(_row(line) for line in signoff.lines)}</tbody></table></div>
{"<h2>Waivers not needed</h2>" + bullets(waivers) if waivers else ""}
<h2>Judged with</h2>
<p class="soft">SHA-256 of the policy {signoff.policy.content_hash}</p>
<div class="soft">{bullets(hashes)}</div>"""
    return page(f"{signoff.decision} · {signoff.title}", body)


def _row(line: Line) -> str:
    status = f'<span class="status {line.status}">{line.status.symbol} {line.status}</span>'
    kind = " <small>soft</small>" if line.kind == "soft" else ""
    return (
        f"<tr><td>{status}</td><th scope='row'>{escape(line.metric)}{kind}<br><small>{escape(line.why)}</small></th>"
        f"<td class='number' data-name='value'>{escape(value_text(line))}</td>"
        f"<td data-name='asked'>{escape(line.limit)}</td>"
        f"<td class='number' data-name='n / attempted'>{line.n} / {line.n_attempted}</td>"
        f"<td>{escape(line.evidence)}</td></tr>\n"
    )


def value_text(line: Line) -> str:
    """Write value, unit and interval; ``not measured`` where there is none."""
    if line.value is None:
        return "not measured"
    text = f"{three_digits(line.value)} {line.unit}".strip()
    if line.interval is None:
        return text
    return f"{text} [{three_digits(line.interval.low)}, {three_digits(line.interval.high)}]"
