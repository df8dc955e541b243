"""A sign-off as SARIF 2.1.0 (OASIS), which code hosts show beside the lines of the policy."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from evalkit.options import read_yaml
from evalkit.reports.gate_lines import gate_lines
from evalkit.words.language import LANGUAGES
from pipeline.options import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalkit.views.gate import GateView
    from evalkit.views.signoff import SignoffView

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"fail": "error", "warn": "warning", "waived": "error", "pass": "none"}


def sarif_text(view: SignoffView, *, where: str, version: str, lines: Mapping[str, int] | None = None) -> str:
    """Return one result a gate: an error where it fails, a warning where a soft one is missed, suppressed where it is waived.

    Parameters
    ----------
    view : SignoffView
    where : str
        What results point to, with slashes and relative to the repository: the policy's file, or the run's.
    version : str
        Of evalkit.
    lines : mapping of str to int, optional
        Line of each rule there, from 1, by the id that `rule_id` gives it.
    """
    told = gate_lines(view.gates, LANGUAGES[0])
    ids = [rule_id(gate.metric, gate.kind) for gate in view.gates]
    rules = {
        own: {
            "id": own,
            "name": line.name,
            "shortDescription": {"text": f"{line.name}: {gate.limit}"},
            "fullDescription": {"text": gate.why},
            "defaultConfiguration": {"level": "error" if gate.kind == "hard" else "warning"},
        }
        for own, gate, line in zip(ids, view.gates, told, strict=True)
    }
    index = {own: place for place, own in enumerate(rules)}
    results = [
        _result(
            gate,
            (own, index[own]),
            f"{line.name}: {line.told}",
            place=(where, (lines or {}).get(own, 1)),
            policy=view.policy.name,
        )
        for own, gate, line in zip(ids, view.gates, told, strict=True)
    ]
    run = {
        "tool": {
            "driver": {
                "name": "evalkit",
                "version": version,
                "semanticVersion": version,
                "rules": list(rules.values()),
            }
        },
        "invocations": [{"executionSuccessful": True, "endTimeUtc": view.judged_at.partition("+")[0] + "Z"}],
        "automationDetails": {"id": f"evalkit/{view.policy.name}/"},
        "columnKind": "utf16CodeUnits",
        "properties": {"decision": view.decision.value, "judged": view.title, "headline": view.headline},
        "results": results,
    }
    return json_text({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def rule_id(metric: str, kind: str) -> str:
    """Return what a gate is called there: its metric, with the kind where it only warns.

    >>> rule_id("lip_sync.error", "hard"), rule_id("lip_sync.error", "soft")
    ('lip_sync.error', 'lip_sync.error/soft')
    """
    return metric if kind == "hard" else f"{metric}/{kind}"


def place_of(policy: str, run: str) -> tuple[str, dict[str, int]]:
    """Return what results point to: the file of a policy with the line of each rule, or the run where the policy is bundled.

    Parameters
    ----------
    policy : str
        Bundled name or file.
    run : str
        Folder of the run, or of videos.

    Returns
    -------
    str
        Relative to the working directory where it lies in there, with slashes, escaped as a URI is.
    dict of str to int
        Line of each rule by its `rule_id`; empty where the policy is no file.
    """
    file = Path(policy)
    if not file.is_file():
        return _uri(Path(run)), {}
    document = read_yaml(file)
    lines = {}
    for place, rule in enumerate(document.get("rules") or ()):
        name = f"{rule.get('metric')}{'.bad' if rule.get('bad_beyond') is not None else ''}"
        line = document.lines.get(("rules", place))
        if line is not None:
            lines[rule_id(name, str(rule.get("kind", "hard")))] = line
    return _uri(file), lines


def _uri(path: Path) -> str:
    here = Path.cwd()
    absolute = path.absolute()
    if absolute.is_relative_to(here):
        return quote(absolute.relative_to(here).as_posix()) or "."
    return absolute.as_uri()


def _result(
    gate: GateView, rule: tuple[str, int], told: str, *, place: tuple[str, int], policy: str
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ruleId": rule[0],
        "ruleIndex": rule[1],
        "kind": "pass" if gate.status == "pass" else "fail",
        "level": _LEVELS[gate.status],
        "message": {"text": f"{told}. Asked: {gate.limit}. {gate.grade.value}: {gate.evidence}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": place[0]},
                    "region": {"startLine": place[1]},
                }
            }
        ],
        "partialFingerprints": {"evalkitGate/v1": hashlib.sha256(f"{policy} {rule[0]}".encode()).hexdigest()},
        "properties": {
            "grade": gate.grade.value,
            "n": gate.n,
            "value": None if gate.figure is None else gate.figure.value,
        },
    }
    if gate.waiver is not None and gate.status == "waived":
        reason = f"{gate.waiver.name}, until {gate.waiver.expires}: {gate.waiver.reason}"
        found["suppressions"] = [{"kind": "external", "status": "accepted", "justification": reason}]
    return found
