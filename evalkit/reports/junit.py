"""A sign-off as JUnit XML, for the pages of continuous-integration servers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from evalkit.decisions.judge import Status

if TYPE_CHECKING:
    from evalkit.decisions.judge import RuleResult
    from evalkit.decisions.signoff import Signoff

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(signoff: Signoff) -> str:
    """Return one test case a rule: failed where it is not met, skipped where it is waived.

    A warning passes, with its evidence in ``system-out``.
    """
    counts = {status: sum(line.status is status for line in signoff.lines) for status in Status}
    suite = ET.Element(
        "testsuite",
        name=_clean(f"evalkit.signoff.{signoff.policy.name}"),
        tests=str(len(signoff.lines)),
        failures=str(counts[Status.FAIL]),
        errors="0",
        skipped=str(counts[Status.WAIVED]),
        timestamp=signoff.judged_at.replace(tzinfo=None).isoformat(timespec="seconds"),
        time="0",
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("judged", signoff.title),
        ("decision", signoff.decision.value),
        ("policy.sha256", signoff.policy.content_hash),
    ):
        ET.SubElement(properties, "property", name=name, value=_clean(value))
    for line in signoff.lines:
        _add_case(suite, line, signoff.policy.name)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add_case(suite: ET.Element, line: RuleResult, policy: str) -> None:
    name = f"{line.metric} {line.limit}" + (" (soft)" if line.kind == "soft" else "")
    case = ET.SubElement(suite, "testcase", classname=_clean(policy), name=_clean(name), time="0")
    if line.status is Status.FAIL:
        failure = ET.SubElement(case, "failure", message=_clean(line.evidence), type=line.kind)
        failure.text = _clean(line.why)
    elif line.status is Status.WAIVED:
        ET.SubElement(case, "skipped", message=_clean(line.evidence))
    else:
        ET.SubElement(case, "system-out").text = _clean(line.evidence)


def _clean(text: str) -> str:
    """Replace what XML 1.0 cannot hold."""
    return _NOT_XML.sub("\ufffd", text)
