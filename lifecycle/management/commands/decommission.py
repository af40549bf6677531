"""./muster decommission AGENT: show what would end with it, and end it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from governance.kernel.errors import GovernanceError
from lifecycle.decommissioning import services
from lifecycle.decommissioning.plan import Plan, plan_of
from lifecycle.models import EndOrder
from registry.models import Agent, Person


class Command(BaseCommand):
    help = (
        "Show what would end with an agent; with --reason, end it. Those who rely on it are told "
        "first, and it ends when they know or their days are over."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """It is called by the word that people write."""
        return super().create_parser("./muster", subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("agent", metavar="AGENT")
        parser.add_argument("--reason", default="", help="why; without it nothing happens")
        parser.add_argument("--as", dest="by", metavar="EMAIL", required=True, help="who does it")

    def handle(self, *args: Any, **options: Any) -> None:
        person = Person.objects.filter(email__iexact=options["by"]).first()
        if person is None or not person.may_act:
            raise CommandError(f"There is nobody {options['by'][:80]} who may act.")
        agent = Agent.objects.visible_to(person).filter(slug=options["agent"]).first()
        if agent is None:
            raise CommandError(f"There is no agent {options['agent'][:80]} that they see.")
        if not options["reason"]:
            self._show(plan_of(agent, person))
            return
        self._end(agent, person, options["reason"])

    def _show(self, plan: Plan) -> None:
        for each in plan.dependents:
            knows = "must know first" if each.waited_for else "knows, or is not waited for"
            self.stdout.write(f"{each.name} relies on it: {knows}")
        for part in plan.parts:
            self.stdout.write(f"{part.title}: {part.none if not part.held else ''}".rstrip())
            for held in part.held:
                self.stdout.write(f"  {held.what} ({held.where}): {held.how}")
        if plan.waits_on:
            self.stdout.write(f"Without a word of theirs it ends on {plan.waits_on}.")
        self.stdout.write("Nothing was done. Say --reason to end it.")

    def _end(self, agent: Agent, person: Person, reason: str) -> None:
        try:
            made = services.end(agent_id=agent.pk, by=person, reason=reason)
        except GovernanceError as error:
            raise CommandError(error.sentences) from error
        if isinstance(made, EndOrder):
            self.stdout.write(f"{agent.slug} ends on {made.begins_on}, or when all know.")
        else:
            self.stdout.write(f"{agent.slug} gets nothing from now on. Its end is {made.pk}.")
