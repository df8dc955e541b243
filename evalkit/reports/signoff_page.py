"""A sign-off as a page: the verdict first, then every rule with its evidence."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from evalkit.decisions.ledger import ledger_entry
from evalkit.decisions.signoff import Decision
from evalkit.formatting import three_digits
from evalkit.reports.page import answer, bullets, page, table, verdict_mark
from evalkit.reports.run_answer import Verdict, verdict_of_line

if TYPE_CHECKING:
    from evalkit.decisions.judge import RuleResult
    from evalkit.decisions.signoff import Signoff

_VERDICTS = {
    Decision.PASS: ("✓", "pass"),
    Decision.PASS_WITH_WAIVERS: ("~", "warn"),
    Decision.FAIL: ("✗", "fail"),
}


def signoff_page(signoff: Signoff) -> str:
    """Return a self-contained HTML page."""
    decision, _, rest = signoff.answer.partition(":")
    waivers = [f"{one.metric}: {one.name}, until {one.expires}" for one in signoff.unused_waivers]
    hashes = [
        f"{name}: {value or 'none recorded'}" for name, value in ledger_entry(signoff)["sha256"].items()
    ]
    symbol, tone = _VERDICTS[signoff.decision]
    facts = (
        f"{escape(signoff.policy.title)} · {signoff.n_attempted} clips attempted · "
        f"{signoff.judged_at:%Y-%m-%d %H:%M} UTC"
    )
    heads = (
        "<th>outcome</th><th>metric</th><th class='n'>value [95 %]</th><th>asked</th>"
        "<th class='n'>n / attempted</th><th>evidence</th>"
    )
    body = f"""
{answer(Verdict(symbol, decision, tone), rest.strip())}
<h2>Gates</h2>
{table("Gates", heads, "".join(_row(line) for line in signoff.lines))}
{"<h2>Waivers not needed</h2>" + bullets(waivers) if waivers else ""}
<h2>Judged with</h2>
<p class="small">SHA-256 of the policy {signoff.policy.content_hash}</p>
<div class="small">{bullets(hashes)}</div>"""
    return page(f"Sign-off of {signoff.title}", facts, body)


def _row(line: RuleResult) -> str:
    kind = " <small>soft</small>" if line.kind == "soft" else ""
    return (
        f"<tr><td>{verdict_mark(verdict_of_line(line))}</td>"
        f"<th scope='row' class='words'>{escape(line.metric)}{kind}<br><small>{escape(line.why)}</small></th>"
        f"<td class='n'>{escape(value_text(line))}</td><td>{escape(line.limit)}</td>"
        f"<td class='n'>{line.n} / {line.n_attempted}</td><td class='words'>{escape(line.evidence)}</td></tr>\n"
    )


def value_text(line: RuleResult) -> str:
    """Write value, unit and interval; ``not measured`` where there is none."""
    if line.value is None:
        return "not measured"
    text = f"{three_digits(line.value)} {line.unit}".strip()
    if line.interval is None:
        return text
    return f"{text} [{three_digits(line.interval.low)}, {three_digits(line.interval.high)}]"
