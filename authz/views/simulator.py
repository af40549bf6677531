"""The simulator: any request, judged and shown like a decision, recorded as none."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods

from authz.forms.previews import written
from authz.forms.simulator import SimulatorForm
from authz.simulate import Simulated, example_of, simulate
from governance.kernel.errors import GovernanceError
from registry.models import Tool
from registry.people import signed_in


@login_required
@require_http_methods(["GET", "POST"])
def simulator(request: HttpRequest) -> HttpResponse:
    """What would be decided, if it were asked."""
    person = signed_in(request)
    initial = {name: str(value) for name, value in request.GET.items() if "\0" not in value}
    if tool := _tool(initial.get("tool", "")):
        initial.setdefault("parameters", written(example_of(tool.schema)))
    form = SimulatorForm(request.POST or None, by=person, initial=initial)
    context: dict[str, Any] = {"form": form}
    if request.method == "POST" and form.is_valid():
        try:
            found = simulate(
                form.ask(),
                by=person,
                now=form.cleaned_data["at"],
                gateway=form.cleaned_data["gateway"],
            )
            context |= _told(found, form)
        except GovernanceError as error:
            form.add_error(None, error.message)
    response = render(request, "authz/simulator.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _told(found: Simulated, form: SimulatorForm) -> dict[str, Any]:
    observe = found.decision.observe
    return {
        "simulated": found,
        "effect": observe.would if observe else found.decision.effect,
        "explanation": found.explanation,
        "curl": curl_of(form.body()),
    }


def curl_of(body: Any) -> str:
    """The command that asks for real. The token is one's own to put in."""
    quoted = json.dumps(body, indent=2, ensure_ascii=False).replace("'", "'\\''")
    return (
        f"curl {settings.MUSTER_BASE_URL}/access/v1/evaluation \\\n"
        '  -H "Authorization: Bearer $MUSTER_TOKEN" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d '{quoted}'"
    )


@login_required
@require_GET
def example(request: HttpRequest) -> HttpResponse:
    """The field of parameters with an example for a tool: a fragment."""
    tool = _tool(request.GET.get("tool", ""))
    parameters = written(example_of(tool.schema)) if tool else ""
    form = SimulatorForm(by=signed_in(request), initial={"parameters": parameters})
    return render(request, "authz/_simulator_parameters.html", {"form": form, "tool": tool})


def _tool(name: str) -> Tool | None:
    return None if "\0" in name else Tool.objects.filter(name=name[:200]).first()
