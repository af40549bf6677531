"""The owner's side: home, agents, registration."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from lifecycle import views
from lifecycle.anomalies import api as anomaly_api
from lifecycle.anomalies import views as anomalies
from lifecycle.credentials import views as credentials
from lifecycle.inbox import views as inbox
from lifecycle.notices import views as notices
from lifecycle.probes import api as probe_api
from lifecycle.probes import views as probe_views
from lifecycle.rotation import views as rotation
from lifecycle.selftest import views as selftest
from lifecycle.sweeps import views as sweeps
from lifecycle.switch import views as switch

urlpatterns = [
    path("", views.home, name="home"),
    path("agents/", views.agents, name="agents"),
    path("agents/register/", views.register, name="agent_register"),
    path("agents/verdict/", views.verdict, name="agent_verdict"),
    path("agents/<str:slug>/", views.agent, name="agent"),
    path("agents/<str:slug>/change/", views.change, name="agent_change"),
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
