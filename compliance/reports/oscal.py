"""The report as OSCAL assessment results (NIST, version 1.2.1): what was looked at and found."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from compliance.enums import Status
from compliance.reports.document import Document

VERSION = "1.2.1"
NAMESPACE = uuid.UUID("6f1d7a6c-8f0c-5b8e-9d0e-3b1f2f6c9a41")
MOST_SUBJECTS = 100
# OSCAL knows two answers, so a control that is partly met is not satisfied, and says the rest in
# words. One that is not applicable is left out of what was reviewed, and has no finding.
_STATE = {Status.MET: "satisfied"}
_REASON = {Status.MET: "pass", Status.PARTLY: "other", Status.NOT_MET: "fail"}
_SAFE = str.maketrans({"\n": " ", "\r": " "})
Json = dict[str, Any]


def oscal_of(document: Document, stamp: Mapping[str, Any]) -> Json:
    """Assessment results of one report. The ids follow from what they name."""
    framework, period = document["framework"], document["period"]
    made = stamp["made_at"]
    about = f"{framework['id']} {period['first']}..{period['last']} {document['scope']['key']}"
    return {
        "assessment-results": {
            "uuid": _id("report", stamp["report"]),
            "metadata": {
                "title": f"Evidence for {framework['name']}, {period['name']}",
                "last-modified": made,
                "version": "1",
                "oscal-version": VERSION,
                "remarks": "Evidence for a framework. It is no claim that the framework is kept.",
            },
            "import-ap": {
                "href": f"#{_id('plan', about)}",
                "remarks": "The plan is the framework's file of Muster: its lines name the "
                "queries, and the rule by which each stands.",
            },
            "results": [_result(document, about)],
            "back-matter": {
                "resources": [
                    {
                        "uuid": _id("plan", about),
                        "title": framework["title"],
                        "description": framework["text"],
                    }
                ]
            },
        }
    }


def _result(document: Document, about: str) -> Json:
    controls, period = document["controls"], document["period"]
    findings = [_finding(each, about) for each in controls if _applies(each)]
    return {
        "uuid": _id("result", about),
        "title": f"{document['framework']['name']}, {period['name']}",
        "description": f"{document['scope']['title']}; {document['coverage']['sentence']}",
        "start": f"{period['first']}T00:00:00Z",
        "end": period["counted_until"],
        "reviewed-controls": {
            "control-selections": [
                {
                    **_named("include-controls", [each for each in controls if _applies(each)]),
                    **_named("exclude-controls", [each for each in controls if not _applies(each)]),
                }
            ]
        },
        "observations": [
            _observation(each, query, period["counted_until"], about)
            for each in controls
            for query in each["queries"]
        ],
        **({"findings": findings} if findings else {}),
    }


def _observation(control: Document, query: Document, at: str, about: str) -> Json:
    figures = [
        {"name": _token(each["key"]), "ns": "https://muster.example/ns/evidence",
         "value": str(each["value"]), "remarks": each["label"]}
        for each in query["figures"] if each["value"] is not None
    ]  # fmt: skip
    exceptions = query["exceptions"]
    evidence = [
        {"description": _line(each["what"]), **_record(each["record"])}
        for each in exceptions[:MOST_SUBJECTS]
    ] + [
        {"description": f"Entry {each['record']}, as it was written: "
                        f"{'yes' if each['whole'] else 'no'}; proof: {each['proof'] or 'none'}",
         **_record(each["record"])}
        for each in query["sample"]
    ]  # fmt: skip
    looked = query["looked_at"] if query["about"] else query["none"]
    return {
        "uuid": _id("observation", about, control["id"], query["id"], str(query["given"])),
        "title": query["title"],
        "description": f"{looked.rstrip('.')}; {_counted(len(exceptions))}. {query['rule']}",
        **({"props": figures} if figures else {}),
        "methods": ["EXAMINE", "TEST"] if query["sample"] else ["EXAMINE"],
        **({"relevant-evidence": evidence} if evidence else {}),
        "collected": at,
    }


def _counted(exceptions: int) -> str:
    return "1 exception" if exceptions == 1 else f"{exceptions:,} exceptions"


def _record(record: str) -> Json:
    return {"href": f"urn:uuid:{record}"} if record else {}


def _finding(control: Document, about: str) -> Json:
    state = _STATE.get(Status(control["status"]), "not-satisfied")
    observations = [
        {"observation-uuid": _id("observation", about, control["id"], each["id"],
                                 str(each["given"]))}
        for each in control["queries"]
    ]  # fmt: skip
    return {
        "uuid": _id("finding", about, control["id"]),
        "title": f"{control['clause']}: {control['title']}",
        "description": f"{control['status_word']}. {_line(control['why'])} {control['rule']}",
        "target": {
            "type": "objective-id",
            "target-id": _token(control["id"]),
            "status": {"state": state, "reason": _REASON[Status(control["status"])],
                       "remarks": control["status_word"]},
        },
        "related-observations": observations,
    }  # fmt: skip


def _applies(control: Document) -> bool:
    return bool(control["status"] != Status.NOT_APPLICABLE)


def _named(word: str, controls: list[Document]) -> Json:
    return {word: [{"control-id": _token(each["id"])} for each in controls]} if controls else {}


def _id(*parts: str) -> str:
    return str(uuid.uuid5(NAMESPACE, " ".join(parts)))


def _token(text: str) -> str:
    """A name as OSCAL writes them."""
    return text.replace("_", "-") if text[:1].isalpha() else f"c-{text}"


def _line(text: str) -> str:
    return text.translate(_SAFE)
