"""A sign-off as JUnit XML, for the pages of continuous-integration servers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from evalkit.views.gate import GateView
    from evalkit.views.signoff import SignoffView

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(view: SignoffView) -> str:
    """Return one test case a rule: failed where it does not pass, skipped where it is waived.

    The type of a failure is the gate's grade: fails, too few clips or not measured. A warning passes, with its grade and
    evidence in ``system-out``; what has to be known of the run is that of the suite.
    """
    statuses = [gate.status for gate in view.gates]
    suite = ET.Element(
        "testsuite",
        name=_clean(f"evalkit.signoff.{view.policy.name}"),
        tests=str(len(statuses)),
        failures=str(statuses.count("fail")),
        errors="0",
        skipped=str(statuses.count("waived")),
        timestamp=view.judged_at.partition("+")[0],
        time="0",
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("judged", view.title),
        ("decision", view.decision.value),
        ("policy.sha256", view.policy.sha256),
    ):
        ET.SubElement(properties, "property", name=name, value=_clean(value))
    for gate in view.gates:
        _add_case(suite, gate, view.policy.name)
    if view.notes:
        ET.SubElement(suite, "system-out").text = _clean("\n".join(view.notes))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add_case(suite: ET.Element, gate: GateView, policy: str) -> None:
    name = f"{gate.metric} {gate.limit}" + (" (soft)" if gate.kind == "soft" else "")
    case = ET.SubElement(suite, "testcase", classname=_clean(policy), name=_clean(name), time="0")
    if gate.status == "fail":
        failure = ET.SubElement(case, "failure", message=_clean(gate.evidence), type=gate.grade)
        failure.text = _clean(gate.why)
    elif gate.status == "waived":
        ET.SubElement(case, "skipped", message=_clean(f"{gate.grade}: {gate.evidence}"))
    else:
        ET.SubElement(case, "system-out").text = _clean(f"{gate.grade}: {gate.evidence}")


def _clean(text: str) -> str:
    """Replace what XML 1.0 cannot hold."""
    return _NOT_XML.sub("\ufffd", text)
