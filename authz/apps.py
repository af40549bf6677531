"""The authz app."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuthzConfig(AppConfig):
    name = "authz"
    verbose_name = "Authorization"

    def ready(self) -> None:
        # Models are there from here on, not before.
        from audit import explain  # noqa: PLC0415
        from audit.enums import Kind  # noqa: PLC0415
        from authz import leases, signatures, toxic  # noqa: F401, PLC0415
        from authz.explain import explain_decision, explain_hold  # noqa: PLC0415
        from authz.explain_access import explain_access  # noqa: PLC0415
        from authz.services import grants, policies, prices, relationships, roles  # noqa: F401, PLC0415
        from authz.services import pdps as pdp_services  # noqa: PLC0415
        from authz.services import signatures as signature_services  # noqa: PLC0415
        from authz.services import toxic as toxic_services  # noqa: PLC0415
        from registry import changes, reach, row  # noqa: PLC0415

        explain.use(Kind.DECISION, explain_decision)
        explain.use(Kind.HOLD, explain_hold)
        explain.use(Kind.ACCESS, explain_access)
        reach.use_catalogue(toxic.catalogue)
        row.add_facts(roles.facts_for_review)
        post_migrate.connect(
            toxic.plant_catalogue, sender=self, dispatch_uid="plant the toxic catalogue"
        )
        post_migrate.connect(
            signatures.plant_signatures, sender=self, dispatch_uid="plant the signatures"
        )
        changes.register(
            roles.GRANTS_KIND,
            roles.apply_grants,
            interested=roles.interested_in_grants,
            record_kind=Kind.POLICY,
        )
        changes.register(
            roles.HOLDING_KIND,
            roles.apply_holding,
            interested=roles.interested_in_holding,
            record_kind=Kind.POLICY,
        )
        for kind, apply in (
            (relationships.ADDING_KIND, relationships.apply_adding),
            (relationships.REMOVAL_KIND, relationships.apply_removal),
        ):
            changes.register(
                kind, apply, interested=relationships.interested, record_kind=Kind.POLICY
            )
        changes.register(
            policies.ACTIVATION_KIND,
            policies.apply_activation,
            dropped=policies.drop_activation,
            record_kind=Kind.POLICY,
        )
        changes.register(
            signature_services.SIGNATURE_KIND,
            signature_services.apply_signature,
            record_kind=Kind.POLICY,
        )
        changes.register(pdp_services.PDP_KIND, pdp_services.apply_pdp, record_kind=Kind.POLICY)
        changes.register(
            toxic_services.TOXIC_KIND, toxic_services.apply_toxic, record_kind=Kind.POLICY
        )
        changes.register(
            toxic_services.OUTPUT_KIND,
            toxic_services.apply_lower_output,
            interested=toxic_services.interested_in_output,
            record_kind=Kind.POLICY,
        )
        changes.register(prices.PRICE_KIND, prices.apply_price, record_kind=Kind.POLICY)
        changes.register(
            policies.RETIREMENT_KIND, policies.apply_retirement, record_kind=Kind.POLICY
        )
