"""The owner's side: home, agents, registration."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from lifecycle import importing, registering, views
from lifecycle.anomalies import api as anomaly_api
from lifecycle.anomalies import views as anomalies
from lifecycle.checking import api as checking
from lifecycle.credentials import views as credentials
from lifecycle.inbox import views as inbox
from lifecycle.notices import views as notices
from lifecycle.probes import api as probe_api
from lifecycle.probes import views as probe_views
from lifecycle.provisioning import api as provisioning_api
from lifecycle.provisioning import views as provisioning
from lifecycle.rotation import views as rotation
from lifecycle.selftest import views as selftest
from lifecycle.sweeps import views as sweeps
from lifecycle.switch import views as switch
from lifecycle.templates import api as template_api
from lifecycle.templates import views as template_views

urlpatterns = [
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
    path("agents/<str:slug>/live/", provisioning.live, name="agent_live"),
    path("agents/<str:slug>/live/steps/", provisioning.steps, name="agent_steps"),
    path("agents/<str:slug>/live/first/", provisioning.first_call, name="agent_first_call"),
    path("agents/<str:slug>/live/again/", provisioning.try_again, name="agent_live_again"),
    path("inbox/", inbox.inbox, name="inbox"),
    path("inbox/deciding/", inbox.how_people_decide, name="deciding"),
    path("inbox/<str:key>/edit/", inbox.edit, name="inbox_edit"),
    path("inbox/<str:key>/<slug:word>/", inbox.answer, name="inbox_answer"),
    path("admin/inbox/", admin.site.admin_view(inbox.inbox_in_admin), name="admin_inbox"),
    path("notices/", notices.notices, name="notices"),
    path("notices/read/", notices.read, name="notices_read"),
    path("notices/channels/", notices.channels, name="channels"),
    path("notices/channels/<uuid:channel_id>/", notices.remove_channel, name="channel_remove"),
    path("notices/again/<int:delivery_id>/", notices.try_again, name="notice_again"),
    path("mail/", notices.mails, name="mails"),
    path("sweeps/", sweeps.sweeps, name="sweeps"),
    path("rotation/", rotation.rotation, name="rotation"),
    path("rotation/<int:pk>/confirm/", rotation.confirm, name="rotation_confirm"),
    path("rotation/<int:pk>/fetch/", rotation.fetch, name="rotation_fetch"),
    path("agents/<str:slug>/outside/<int:pk>/", rotation.outside, name="agent_outside_secret"),
    path("agents/<str:slug>/scope/", rotation.scope, name="agent_scope"),
    path("selftest/", selftest.no_row_no_key, name="selftest"),
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
    path("api/v1/templates/<str:slug>/agents", template_api.Register.as_view()),
    path("api/v1/templates/<str:slug>/verdict", template_api.Verdict.as_view()),
    path("api/v1/agents/<str:slug>/check", checking.Check.as_view(), name="api_agent_check"),
    path("api/v1/registrations", provisioning_api.Registrations.as_view()),
    path("api/v1/agents/<str:slug>/provisioning", provisioning_api.Provisioning.as_view()),
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
]
