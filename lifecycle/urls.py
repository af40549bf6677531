"""The owner's side: home, agents, registration."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path, re_path

from lifecycle import importing, registering, views
from lifecycle.anomalies import api as anomaly_api
from lifecycle.anomalies import views as anomalies
from lifecycle.apply import api as inventory_api
from lifecycle.break_glass import views as break_glass
from lifecycle.bypass import api as bypass_api
from lifecycle.bypass import views as bypass
from lifecycle.campaigns import api as campaigns_api
from lifecycle.campaigns import views as campaigns
from lifecycle.checking import api as checking
from lifecycle.credentials import views as credentials
from lifecycle.decommissioning import api as ending_api
from lifecycle.decommissioning import views as ending
from lifecycle.delegating import views as delegating
from lifecycle.deviations import views as deviations
from lifecycle.devices import api as device_api
from lifecycle.devices import views as devices
from lifecycle.discoveries import api as discoveries
from lifecycle.due import api as due_api
from lifecycle.due import views as due
from lifecycle.grants import api as grant_api
from lifecycle.grants import beforehand_views as beforehand
from lifecycle.grants import listing as grant_listing
from lifecycle.grants import views as grants
from lifecycle.idle import api as idle_api
from lifecycle.idle import stray_views
from lifecycle.idle import views as idle
from lifecycle.inbox import api as inbox_api
from lifecycle.inbox import views as inbox
from lifecycle.leavers import api as leaver_api
from lifecycle.leavers import views as leavers
from lifecycle.movers import views as movers
from lifecycle.notices import views as notices
from lifecycle.observing import api as observing_api
from lifecycle.observing import views as observing
from lifecycle.people import group_views, import_api, import_views, webhook_views
from lifecycle.people import hooks as people_hooks
from lifecycle.people import views as people
from lifecycle.probes import api as probe_api
from lifecycle.probes import views as probe_views
from lifecycle.provisioning import api as provisioning_api
from lifecycle.provisioning import views as provisioning
from lifecycle.renewals import api as renewals_api
from lifecycle.renewals import views as renewals
from lifecycle.reviews import api as review_api
from lifecycle.reviews import views as reviews
from lifecycle.reviews.periodic import api as periodic_api
from lifecycle.reviews.periodic import views as periodic
from lifecycle.rotation import views as rotation
from lifecycle.scim import endpoint as scim_endpoint
from lifecycle.scim import views as scim_views
from lifecycle.selftest import views as selftest
from lifecycle.sweeps import api as sweep_api
from lifecycle.sweeps import views as sweeps
from lifecycle.switch import views as switch
from lifecycle.templates import api as template_api
from lifecycle.templates import views as template_views
from lifecycle.toxic import api as toxic_api
from lifecycle.toxic import views as toxic

urlpatterns = [
    re_path(r"^scim/v2(?:/(?P<path>.*))?\Z", scim_endpoint.scim, name="scim"),
    path("directories/", scim_views.directories, name="directories"),
    path("directories/log/", scim_views.log, name="provisioning_log"),
    path("directories/<str:slug>/", scim_views.directory, name="directory"),
    path("directories/<str:slug>/<slug:word>/", scim_views.change, name="directory_change"),
    path("", views.home, name="home"),
    path("agents/", views.agents, name="agents"),
    path("agents/register/", registering.register, name="agent_register"),
    path("agents/verdict/", registering.verdict, name="agent_verdict"),
    path("agents/import/", importing.from_file, name="agent_import"),
    path("agents/templates/", template_views.templates, name="templates"),
    path("agents/templates/new/", template_views.propose, name="template_new"),
    path("agents/templates/<str:slug>/", template_views.template, name="template"),
    path("agents/templates/<str:slug>/propose/", template_views.propose, name="template_propose"),
    path("agents/templates/<str:slug>/retire/", template_views.retire, name="template_retire"),
    path("agents/<str:slug>/", views.agent, name="agent"),
    path("agents/<str:slug>/change/", registering.change, name="agent_change"),
    path("agents/<str:slug>/history/", views.history, name="agent_history"),
    path("agents/<str:slug>/narrow/<path:tool>/", views.narrow, name="agent_narrow"),
    path("agents/<str:slug>/sub-agents/", delegating.sub_agents, name="sub_agents"),
    path("agents/<str:slug>/sub-agents/<str:other>/", delegating.sub_agent, name="sub_agent"),
    path(
        "agents/<str:slug>/sub-agents/<str:other>/remove/",
        delegating.remove,
        name="sub_agent_remove",
    ),
    path("agents/<str:slug>/credentials/", views.add_credential, name="agent_credential"),
    path("agents/<str:slug>/credentials/store/", credentials.store, name="agent_credential_store"),
    path(
        "agents/<str:slug>/credentials/<int:pk>/",
        credentials.credential,
        name="agent_credential_page",
    ),
    path(
        "agents/<str:slug>/credentials/<int:pk>/rotate/",
        credentials.rotate,
        name="agent_credential_rotate",
    ),
    path(
        "agents/<str:slug>/credentials/<int:pk>/revoke/",
        credentials.revoke,
        name="agent_credential_revoke",
    ),
    path(
        "agents/<str:slug>/credentials/<int:pk>/confirm/",
        credentials.confirm,
        name="agent_credential_confirm",
    ),
    path("agents/<str:slug>/attest/", views.attest, name="agent_attest"),
    path("agents/<str:slug>/send/", views.send_for_review, name="agent_send"),
    path("agents/<str:slug>/withdraw/", views.withdraw, name="agent_withdraw"),
    path("agents/<str:slug>/secret/", views.new_secret, name="agent_secret"),
    path("agents/<str:slug>/suspend/", views.suspend, name="agent_suspend"),
    path("agents/<str:slug>/resume/", views.resume, name="agent_resume"),
    path("renewals/", renewals.renewals, name="renewals"),
    path("agents/<str:slug>/renew/", renewals.renewal, name="renewal"),
    path("agents/<str:slug>/renew/extend/", renewals.extend, name="renewal_extend"),
    path("agents/<str:slug>/badge/", renewals.new_badge, name="agent_badge"),
    path("reviews/<int:pk>/", periodic.review, name="periodic_review"),
    path("agents/<str:slug>/observe/", observing.observe, name="agent_observe"),
    path("agents/<str:slug>/observe/end/", observing.end, name="agent_observe_end"),
    path("agents/<str:slug>/idle/", idle.idle, name="agent_idle"),
    path("agents/<str:slug>/idle/renew/", idle.renew, name="agent_idle_renew"),
    path("agents/<str:slug>/idle/narrow/", idle.narrow, name="agent_idle_narrow"),
    path("agents/<str:slug>/idle/end/", idle.end, name="agent_idle_end"),
    path("api/v1/agents/<str:slug>/idle", idle_api.Idle.as_view(), name="api_agent_idle"),
    path("api/v1/agents/<str:slug>/idle/renew", idle_api.RenewIdle.as_view()),
    path("api/v1/agents/<str:slug>/idle/narrow", idle_api.NarrowIdle.as_view()),
    path("api/v1/agents/<str:slug>/idle/end", idle_api.EndIdle.as_view()),
    path("agents/<str:slug>/live/", provisioning.live, name="agent_live"),
    path("agents/<str:slug>/live/steps/", provisioning.steps, name="agent_steps"),
    path("agents/<str:slug>/live/first/", provisioning.first_call, name="agent_first_call"),
    path("agents/<str:slug>/live/again/", provisioning.try_again, name="agent_live_again"),
    path("agents/<str:slug>/end/", ending.end, name="agent_end"),
    path("agents/<str:slug>/end/steps/", ending.steps, name="agent_end_steps"),
    path("agents/<str:slug>/end/know/", ending.acknowledge, name="agent_end_acknowledge"),
    path("agents/<str:slug>/end/withdraw/", ending.withdraw, name="agent_end_withdraw"),
    path("agents/<str:slug>/end/again/", ending.try_again, name="agent_end_again"),
    path(
        "agents/<str:slug>/end/gone/<str:provider>/",
        ending.confirm_client,
        name="agent_end_client",
    ),
    re_path(
        r"^agents/(?P<slug>[^/]+)/end/certificate-(?P<edition>[1-9][0-9]{0,3})\.(?P<form>pdf|json)$",
        ending.certificate,
        name="agent_end_certificate",
    ),
    path("inbox/", inbox.inbox, name="inbox"),
    path("inbox/deciding/", inbox.how_people_decide, name="deciding"),
    path("inbox/<str:key>/edit/", inbox.edit, name="inbox_edit"),
    path("inbox/<str:key>/<slug:word>/", inbox.answer, name="inbox_answer"),
    path("admin/inbox/", admin.site.admin_view(inbox.inbox_in_admin), name="admin_inbox"),
    path("api/v1/cases", leaver_api.Cases.as_view(), name="api_cases"),
    path("api/v1/cases/<int:pk>", leaver_api.OneCase.as_view(), name="api_case"),
    path("api/v1/cases/<int:pk>/answer", leaver_api.AnswerCase.as_view(), name="api_case_answer"),
    path("api/v1/leavers", leaver_api.Leavers.as_view(), name="api_leavers"),
    path("api/v1/leavers/<str:pid>", leaver_api.OneLeaver.as_view(), name="api_leaver"),
    path("leavers/", leavers.leavers, name="leavers"),
    path("leavers/<str:pid>/", leavers.leaver, name="leaver"),
    path("leavers/<str:pid>/answer/", leavers.answer, name="leaver_answer"),
    path("cases/<int:pk>/", movers.case, name="case"),
    path("cases/<int:pk>/answer/<slug:word>/", movers.answer, name="case_answer"),
    path("cases/<int:pk>/name/", leavers.name, name="case_name"),
    path("notices/", notices.notices, name="notices"),
    path("notices/read/", notices.read, name="notices_read"),
    path("notices/channels/", notices.channels, name="channels"),
    path("notices/channels/<uuid:channel_id>/", notices.remove_channel, name="channel_remove"),
    path("notices/again/<int:delivery_id>/", notices.try_again, name="notice_again"),
    path("mail/", notices.mails, name="mails"),
    path("emergency/", break_glass.emergency_access, name="break_glass"),
    path("emergency/end/", break_glass.end, name="break_glass_end"),
    path("emergency/codes/", break_glass.seal, name="break_glass_codes"),
    path("emergency/uses/", break_glass.uses, name="break_glass_uses"),
    path("emergency/uses/<uuid:used_id>/", break_glass.use, name="break_glass_use"),
    path("device/", devices.device, name="device"),
    path("my/command-lines/", devices.command_lines, name="command_lines"),
    path("my/command-lines/end/", devices.end_all, name="command_lines_end"),
    path("my/command-lines/<uuid:token_id>/end/", devices.end, name="command_line_end"),
    path("api/v1/me", device_api.Me.as_view(), name="api_me"),
    path("api/v1/holds", inbox_api.Holds.as_view(), name="api_holds"),
    path("api/v1/holds/<uuid:pk>", inbox_api.OneHold.as_view(), name="api_hold"),
    path("api/v1/holds/<uuid:pk>/approve", inbox_api.ApproveHold.as_view()),
    path("api/v1/holds/<uuid:pk>/reject", inbox_api.RejectHold.as_view()),
    path("api/v1/inventory", inventory_api.Inventory.as_view(), name="api_inventory"),
    path("api/v1/inventory/plan", inventory_api.Plan.as_view()),
    path("api/v1/inventory/apply", inventory_api.Apply.as_view()),
    path("my/grants/", grants.my_grants, name="my_grants"),
    path("my/grants/calls/", grants.my_calls, name="my_calls"),
    path("my/grants/end/", grants.end_all, name="my_grants_end"),
    path("my/grants/<uuid:grant_id>/again/", grants.again, name="grant_again"),
    path("grants/", grant_listing.grants, name="grants"),
    path("grants/csv/", grant_listing.as_csv, name="grants_csv"),
    path("grants/beforehand/", beforehand.approvals, name="grants_beforehand"),
    path("grants/beforehand/<str:slug>/", beforehand.propose, name="grants_beforehand_propose"),
    path(
        "grants/beforehand/<uuid:preapproval_id>/end/",
        beforehand.end,
        name="grants_beforehand_end",
    ),
    path("grants/<uuid:grant_id>/end/", grants.end, name="grant_end"),
    path("api/v1/grants", grant_api.Grants.as_view(), name="api_grants"),
    path("api/v1/grants/<uuid:grant_id>/end", grant_api.EndGrant.as_view()),
    path("due/", due.due, name="due"),
    path("api/v1/due", due_api.WhatIsDue.as_view(), name="api_due"),
    path("strays/", stray_views.strays, name="strays"),
    path("strays/csv/", stray_views.as_csv, name="strays_csv"),
    path("api/v1/strays", stray_views.Strays.as_view(), name="api_strays"),
    path("deviations/", deviations.deviations, name="deviations"),
    path("api/v1/deviations", deviations.Deviations.as_view(), name="api_deviations"),
    path("sweeps/", sweeps.sweeps, name="sweeps"),
    path("sweeps/<slug:name>/run/", sweeps.run_now, name="sweep_run"),
    path("api/v1/sweeps", sweep_api.Sweeps.as_view(), name="api_sweeps"),
    path("api/v1/sweeps/<slug:name>/run", sweep_api.RunSweep.as_view()),
    path("rotation/", rotation.rotation, name="rotation"),
    path("rotation/<int:pk>/confirm/", rotation.confirm, name="rotation_confirm"),
    path("rotation/<int:pk>/fetch/", rotation.fetch, name="rotation_fetch"),
    path("agents/<str:slug>/outside/<int:pk>/", rotation.outside, name="agent_outside_secret"),
    path("agents/<str:slug>/scope/", rotation.scope, name="agent_scope"),
    path("selftest/", selftest.no_row_no_key, name="selftest"),
    path("bypass/", bypass.calls, name="bypass"),
    path("bypass/export.csv", bypass.as_csv, name="bypass_csv"),
    path("bypass/agents/<str:slug>/", bypass.of_tool, name="bypass_of_tool"),
    path("bypass/agents/<str:slug>/confirm/", bypass.confirm, name="bypass_confirm"),
    path("bypass/agents/<str:slug>/explain/", bypass.explain, name="bypass_explain"),
    path("bypass/logs/<str:slug>/", bypass.log, name="bypass_log"),
    path("bypass/logs/<str:slug>/upload/", bypass.upload, name="bypass_upload"),
    re_path(
        r"^bypass/logs/(?P<slug>[^/]+)/token/(?P<word>new|end)/$",
        bypass.token,
        name="bypass_token",
    ),
    path("bypass/imports/<int:pk>/", bypass.one_import, name="bypass_import"),
    re_path(
        r"^bypass/imports/(?P<pk>[0-9]{1,18})/(?P<word>apply|drop)/$",
        bypass.end_import,
        name="bypass_import_end",
    ),
    path("api/v1/calls-without-decision", bypass_api.SeenCalls.as_view(), name="api_bypass"),
    path("api/v1/tool-logs/<str:system>", bypass_api.ToolLogIn.as_view(), name="api_tool_log"),
    path("api/v1/discoveries", discoveries.Discoveries.as_view(), name="api_discoveries"),
    path("anomalies/", anomalies.alerts, name="anomalies"),
    path("anomalies/<int:pk>/", anomalies.alert, name="anomaly"),
    path("anomalies/<int:pk>/acknowledge/", anomalies.acknowledge, name="anomaly_acknowledge"),
    path("anomalies/<int:pk>/false-alarm/", anomalies.false_alarm, name="anomaly_false"),
    path("api/v1/anomalies", anomaly_api.Anomalies.as_view(), name="api_anomalies"),
    path("api/v1/anomalies/<int:pk>", anomaly_api.OneAnomaly.as_view(), name="api_anomaly"),
    path("api/v1/anomalies/<int:pk>/acknowledge", anomaly_api.Acknowledge.as_view()),
    path("api/v1/anomalies/<int:pk>/false-alarm", anomaly_api.FalseAlarm.as_view()),
    path("api/v1/templates", template_api.Templates.as_view(), name="api_templates"),
    path("api/v1/templates/<str:slug>", template_api.OneTemplate.as_view(), name="api_template"),
    path("api/v1/templates/<str:slug>/retire", template_api.Retire.as_view()),
    path("api/v1/templates/<str:slug>/verdict", template_api.Verdict.as_view()),
    path("api/v1/agents/<str:slug>/observe", observing_api.Observe.as_view()),
    path("api/v1/agents/<str:slug>/check", checking.Check.as_view(), name="api_agent_check"),
    path("api/v1/agents/<str:slug>/badge.svg", renewals_api.BadgePicture.as_view()),
    path("api/v1/agents/<str:slug>/badge.json", renewals_api.BadgeDocument.as_view()),
    path("api/v1/renewals", renewals_api.Renewals.as_view(), name="api_renewals"),
    path("api/v1/agents/<str:slug>/renewal", renewals_api.OneRenewal.as_view()),
    path("api/v1/agents/<str:slug>/renewal/extension", renewals_api.Extension.as_view()),
    path("api/v1/registrations", provisioning_api.Registrations.as_view()),
    path("api/v1/agents/<str:slug>/provisioning", provisioning_api.Provisioning.as_view()),
    path(
        "api/v1/agents/<str:slug>/decommissioning",
        ending_api.Decommissioning.as_view(),
        name="api_agent_end",
    ),
    path("api/v1/agents/<str:slug>/decommissioning/plan", ending_api.DecommissioningPlan.as_view()),
    path(
        "api/v1/agents/<str:slug>/decommissioning/acknowledge",
        ending_api.DecommissioningWord.as_view(),
    ),
    path(
        "api/v1/agents/<str:slug>/decommissioning/try-again",
        ending_api.DecommissioningAgain.as_view(),
    ),
    path(
        "api/v1/agents/<str:slug>/decommissioning/client-gone",
        ending_api.DecommissioningClient.as_view(),
    ),
    path(
        "api/v1/agents/<str:slug>/decommissioning/certificate.json",
        ending_api.DecommissioningCertificate.as_view(),
    ),
    path(
        "api/v1/agents/<str:slug>/decommissioning/certificate.pdf",
        ending_api.DecommissioningPaper.as_view(),
    ),
    path("toxic/", toxic.findings, name="toxic_findings"),
    path("toxic/<int:pk>/", toxic.finding, name="toxic_finding"),
    path("toxic/<int:pk>/<slug:word>/", toxic.answer, name="toxic_answer"),
    path("toxic/catalogue/new/", toxic.new, name="toxic_new"),
    path("toxic/catalogue/<str:slug>/", toxic.combination, name="toxic_combination"),
    path("toxic/catalogue/<str:slug>/change/", toxic.change, name="toxic_change"),
    path("toxic/catalogue/<str:slug>/remove/", toxic.remove, name="toxic_remove"),
    path("api/v1/toxic-findings", toxic_api.ToxicFindings.as_view(), name="api_toxic_findings"),
    path("api/v1/toxic-findings/<int:pk>", toxic_api.OneToxicFinding.as_view()),
    path("api/v1/toxic-findings/<int:pk>/split", toxic_api.SplitFinding.as_view()),
    path("api/v1/toxic-findings/<int:pk>/elevate", toxic_api.ElevateFinding.as_view()),
    path("api/v1/toxic-findings/<int:pk>/aggregate", toxic_api.AggregateFinding.as_view()),
    path("api/v1/toxic-findings/<int:pk>/lower", toxic_api.LowerFinding.as_view()),
    path("api/v1/toxic-findings/<int:pk>/undo-split", toxic_api.UndoSplit.as_view()),
    path("campaigns/", campaigns.campaigns, name="campaigns"),
    path("campaigns/new/", campaigns.new, name="campaign_new"),
    path("campaigns/<int:pk>/", campaigns.campaign, name="campaign"),
    path("campaigns/<int:pk>/csv/", campaigns.as_csv, name="campaign_csv"),
    path("campaigns/<int:pk>/close/", campaigns.close, name="campaign_close"),
    path("campaigns/<int:pk>/<int:candidate_id>/", campaigns.candidate, name="candidate"),
    path("api/v1/campaigns", campaigns_api.Campaigns.as_view()),
    path("api/v1/campaigns/<int:pk>/candidates", campaigns_api.CandidatesOf.as_view()),
    path("api/v1/candidates", campaigns_api.Mine.as_view()),
    path("api/v1/candidates/accept", campaigns_api.Accept.as_view()),
    path("api/v1/candidates/decline", campaigns_api.Decline.as_view()),
    path("suspended/", switch.suspended, name="suspended"),
    path("suspended/many/", switch.suspend_many, name="suspend_many"),
    path("suspended/many/<int:pk>/", switch.suspension, name="suspension"),
    path("agents/<str:slug>/probes/", probe_views.probes, name="agent_probes"),
    path("agents/<str:slug>/probes/run/", probe_views.run_now, name="agent_probe"),
    path("agents/<str:slug>/probes/<uuid:pk>/", probe_views.one_run, name="agent_probe_run"),
    path("agents/<str:slug>/probes/<uuid:pk>/junit.xml", probe_views.junit, name="probe_junit"),
    path("agents/<str:slug>/probes/live/", probe_views.run_live, name="agent_probe_live"),
    path("probe/access/v1/evaluation", probe_views.evaluation, name="probe_evaluation"),
    path("api/v1/agents/<str:slug>/probes", probe_api.Probes.as_view(), name="api_probes"),
    path(
        "api/v1/agents/<str:slug>/probes/<str:pk>", probe_api.OneProbe.as_view(), name="api_probe"
    ),
    path("people/", people.people, name="people"),
    path("people/import/", import_views.upload, name="people_import"),
    path("people/import/<int:pk>/", import_views.one, name="people_import_one"),
    path("people/import/<int:pk>/apply/", import_views.apply, name="people_import_apply"),
    path("people/import/<int:pk>/drop/", import_views.drop, name="people_import_drop"),
    path(
        "people/import/<int:pk>/refused.csv", import_views.refused_csv, name="people_import_refused"
    ),
    path("people/template.csv", import_views.template_csv, name="people_template"),
    path("people/export.csv", import_views.export_csv, name="people_export"),
    path("people/groups/", group_views.groups, name="source_groups"),
    path("people/groups/<int:pk>/remove/", group_views.remove, name="source_group_remove"),
    path("people/webhooks/", webhook_views.webhooks, name="people_webhooks"),
    path("people/webhooks/<int:pk>/rotate/", webhook_views.rotate, name="people_webhook_rotate"),
    path(
        "people/webhooks/<int:pk>/networks/",
        webhook_views.networks,
        name="people_webhook_networks",
    ),
    path("people/webhooks/<int:pk>/end/", webhook_views.end, name="people_webhook_end"),
    path("people/<str:pid>/", people.person, name="person"),
    path("people/<str:pid>/change/", people.change, name="person_change"),
    path("people/<str:pid>/<slug:word>/", people.employment, name="person_employment"),
    path("api/v1/people/imports", import_api.PeopleImports.as_view(), name="api_people_imports"),
    path("api/v1/people/imports/<int:pk>", import_api.OnePeopleImport.as_view()),
    path("api/v1/people/imports/<int:pk>/rows", import_api.PeopleImportRows.as_view()),
    path("api/v1/people/imports/<int:pk>/apply", import_api.ApplyPeopleImport.as_view()),
    path("api/v1/people/events/<str:source>", people_hooks.PeopleEvents.as_view()),
    path("absences/", reviews.absences, name="absences"),
    path("absences/<int:pk>/end/", reviews.end_absence, name="absence_end"),
    path("api/v1/reviews", review_api.Reviews.as_view(), name="api_reviews"),
    path("api/v1/reviews/metrics", review_api.ReviewMetrics.as_view(), name="api_review_metrics"),
    path("api/v1/reviews/<int:pk>", review_api.OneReview.as_view(), name="api_review"),
    path("api/v1/reviews/<int:pk>/steps/<int:step>/answer", periodic_api.AnswerStep.as_view()),
    path("api/v1/reviews/<int:pk>/comments", review_api.CommentReview.as_view()),
    path("api/v1/reviews/<int:pk>/go-live", review_api.GoLiveReview.as_view()),
    path("api/v1/reviews/<int:pk>/steps/<int:step>/approve", review_api.ApproveStep.as_view()),
    path(
        "api/v1/reviews/<int:pk>/steps/<int:step>/ask-for-change",
        review_api.AskForChange.as_view(),
    ),
    path("api/v1/reviews/<int:pk>/steps/<int:step>/reject", review_api.RejectStep.as_view()),
    path("api/v1/absences", review_api.Absences.as_view(), name="api_absences"),
    path("api/v1/absences/<int:pk>/end", review_api.EndAbsence.as_view()),
]
