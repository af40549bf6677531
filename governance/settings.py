"""Settings of a Muster process. Every value comes from the environment; what is missing says so."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ

# The models of SCIM come before the rest: each looks through every module that is there for its own
# source, which takes every process two seconds more once Django and Muster are imported.
import scim2_models  # noqa: F401
import scim2_server.service  # noqa: F401
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from governance import configuration
from governance.kernel import tiers

BASE_DIR = Path(__file__).resolve().parent.parent
# Each is declared in governance.configuration, read strictly and refused with its name.
given = configuration.read(os.environ)
UNKNOWN_SETTINGS = tuple(configuration.unknown_names(os.environ))


def by_tier(family: str, *more: str) -> dict[str, Any]:
    """What the settings of a family say, by their tier."""
    return {tier: given[f"{family}_{tier.upper()}"] for tier in (*tiers.TIERS, *more)}


def listed(name: str, file: str) -> Any:
    """A list that stands in one setting, or in the file that another one names."""
    if not given[file]:
        return given[name]
    try:
        return json.loads(Path(given[file]).read_text())
    except (OSError, ValueError) as error:
        raise ImproperlyConfigured(f"{file} cannot be read: {error}.") from error


# What this process is

MUSTER_PROCESS = given["MUSTER_PROCESS"]
MUSTER_DATA = given["MUSTER_DATA"]
MUSTER_KEYS = given["MUSTER_KEYS"]
MUSTER_BASE_URL = given["MUSTER_BASE_URL"].rstrip("/")
DEBUG = given["MUSTER_DEBUG"]
try:
    SECRET_KEY = given["MUSTER_SECRET_KEY"] or (
        (Path(MUSTER_KEYS) / "secret_key").read_text().strip()
    )
except OSError as error:
    raise ImproperlyConfigured(f"MUSTER_KEYS has no file secret_key: {error}.") from error

_base = urlsplit(MUSTER_BASE_URL)
ALLOWED_HOSTS = given["MUSTER_ALLOWED_HOSTS"]
if ALLOWED_HOSTS is None:
    ALLOWED_HOSTS = sorted({_base.hostname or "127.0.0.1", "localhost", "127.0.0.1"})
CSRF_TRUSTED_ORIGINS = [MUSTER_BASE_URL]
_https = _base.scheme == "https"

# Applications

INSTALLED_APPS = [
    "registry",
    "authz",
    "audit",
    "lifecycle",
    "compliance",
    "governance",
    "django.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "guardian",
    "rest_framework",
    "simple_history",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "governance.middleware.NoNul",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "lifecycle.break_glass.middleware.EmergencyAccess",
    "registry.middleware.PersonMiddleware",
    "governance.refusals.RefusalPages",
]

ROOT_URLCONF = "governance.urls"
ASGI_APPLICATION = "governance.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "governance.context.shell",
            ],
            "builtins": ["governance.templatetags.look"],
        },
    },
]

# Database: PostgreSQL only

_database = environ.Env.db_url_config(given["DATABASE_URL"])
DATABASES = {
    "default": {
        **_database,
        "ATOMIC_REQUESTS": False,
        "CONN_HEALTH_CHECKS": True,
        "CONN_MAX_AGE": 0 if MUSTER_PROCESS == "web" else 600,
        "OPTIONS": {
            **_database.get("OPTIONS", {}),
            # A connection costs 18 ms under SCRAM: the web process keeps a pool. Where the
            # database is away, nobody waits longer than this to hear so.
            **(
                {"pool": {"min_size": 2, "max_size": 16, "timeout": 5.0}}
                if MUSTER_PROCESS == "web"
                else {}
            ),
        },
        "TEST": {"NAME": os.environ.get("MUSTER_TEST_DB", "test_muster")},
    }
}

# In the database, since each of several web processes must count every attempt to sign in.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "governance_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

# People who sign in

AUTH_USER_MODEL = "registry.Person"
AUTHENTICATION_BACKENDS = [
    "allauth.account.auth_backends.AuthenticationBackend",
    "guardian.backends.ObjectPermissionBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_ADAPTER = "registry.sign_in.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "registry.oidc.adapter.SocialAdapter"
# Identity providers that people sign in with: a JSON list, or a file with one. With
# MUSTER_LOCAL_SIGN_IN=off passwords and passkeys of Muster's own open nothing any more.
MUSTER_SIGN_IN_FILE = given["MUSTER_SIGN_IN_FILE"]
MUSTER_SIGN_IN_PROVIDERS = listed("MUSTER_SIGN_IN_PROVIDERS", "MUSTER_SIGN_IN_FILE")
MUSTER_LOCAL_SIGN_IN = given["MUSTER_LOCAL_SIGN_IN"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = _base.scheme
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Muster"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not _https
# Approvers need a second factor; a database marked as demo is excused (registry.middleware).
MUSTER_APPROVER_MFA = given["MUSTER_APPROVER_MFA"]
# How long a command line may act as whoever let it in, before they are asked again.
MUSTER_COMMAND_LINE_HOURS = given["MUSTER_COMMAND_LINE_HOURS"]
ANONYMOUS_USER_NAME = None
GUARDIAN_RAISE_403 = True

# Cookies and headers

SESSION_COOKIE_NAME = "muster_session"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = _https
CSRF_COOKIE_SECURE = _https
CSRF_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = given["MUSTER_SSL_REDIRECT"]
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _https
SECURE_HSTS_PRELOAD = False
# The preload list is a promise for the whole domain, which is not ours to make.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if given["MUSTER_BEHIND_PROXY"] else None
)
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

# Data flow

# How long an agent carries what it read into its next runs, in hours, by tier.
MUSTER_CARRY_HOURS = by_tier("MUSTER_CARRY_HOURS")
# How many denials in an hour stop an agent, by the tier of its row; 0 for never.
MUSTER_BREAKER_DENIALS = by_tier("MUSTER_BREAKER_DENIALS")
# Above these limits the owner's own word is not enough for an agent. Money in minor units.
MUSTER_CEILINGS = {
    "rate_per_minute": given["MUSTER_CEILING_CALLS_MINUTE"],
    "rate_per_hour": given["MUSTER_CEILING_CALLS_HOUR"],
    "spend_cap_minor": given["MUSTER_CEILING_SPEND_DAY"],
    "spend_cap_month_minor": given["MUSTER_CEILING_SPEND_MONTH"],
}
# Where providers may be without the data protection officer's word: the EEA, if nothing is said.
MUSTER_APPROVED_COUNTRIES = frozenset(given["MUSTER_APPROVED_COUNTRIES"])
# Whose holidays count, and when a day ends, where a person says nothing else: DK, DE-BY.
MUSTER_CALENDAR = given["MUSTER_CALENDAR"]
MUSTER_ZONE = given["MUSTER_ZONE"]
# After how long what was reserved and never reported on counts as spent.
MUSTER_RESERVATION_MINUTES = given["MUSTER_RESERVATION_MINUTES"]
MUSTER_SESSION_HOURS = given["MUSTER_SESSION_HOURS"]

# Holds: how long an action waits for a human, how long its approval is good for, and how many
# may wait of one agent, and how many kinds of them.

MUSTER_HOLD_HOURS = given["MUSTER_HOLD_HOURS"]
MUSTER_RELEASE_MINUTES = given["MUSTER_RELEASE_MINUTES"]
MUSTER_OPEN_HOLDS = given["MUSTER_OPEN_HOLDS"]
MUSTER_OPEN_HOLD_SHAPES = given["MUSTER_OPEN_HOLD_SHAPES"]

# Acting for someone else: how many days a grant lasts at the most, and how long a delegation, how
# deep, and how many one agent may have live at one place.

MUSTER_GRANT_DAYS = given["MUSTER_GRANT_DAYS"]
MUSTER_DELEGATION_MINUTES = given["MUSTER_DELEGATION_MINUTES"]
MUSTER_DELEGATION_DEPTH = given["MUSTER_DELEGATION_DEPTH"]
MUSTER_DELEGATION_FAN_OUT = given["MUSTER_DELEGATION_FAN_OUT"]

# Who may read /metrics from another machine.

# Where traces are sent; "" for nowhere.
MUSTER_TRACES = given["OTEL_EXPORTER_OTLP_ENDPOINT"]
MUSTER_METRICS_TOKEN = given["MUSTER_METRICS_TOKEN"]

# Out: what may be called inside a network, as host:port, and a bundle of further roots.

MUSTER_EGRESS_ALLOWED = frozenset(given["MUSTER_EGRESS_ALLOWED"])
MUSTER_EGRESS_CA = given["MUSTER_EGRESS_CA"]
# What decision points outside are signed in to with (authz.outside): for who decides alone.
MUSTER_PDP_SECRETS = given["MUSTER_PDP_SECRETS"]

# Anchors: places outside that are told each checkpoint, a JSON list or a file with one. What they
# sign in with lies in a file of which the worker alone is told. docs/reference/anchors.md.

MUSTER_ANCHORS = listed("MUSTER_ANCHORS", "MUSTER_ANCHORS_FILE")
MUSTER_ANCHORS_FILE = given["MUSTER_ANCHORS_FILE"]
MUSTER_ANCHOR_SECRETS = given["MUSTER_ANCHOR_SECRETS"]

# Streams: receivers outside, such as a SIEM, that are sent every entry of the record. As with
# anchors, what they sign in with lies in a file of its own. docs/reference/exports.md.
MUSTER_STREAMS = listed("MUSTER_STREAMS", "MUSTER_STREAMS_FILE")
MUSTER_STREAMS_FILE = given["MUSTER_STREAMS_FILE"]
MUSTER_STREAM_SECRETS = given["MUSTER_STREAM_SECRETS"]

# Identity providers of the house that get a client for each agent: a JSON list, see
# docs/howto/connect-an-idp.md.

MUSTER_IDENTITY_PROVIDERS = given["MUSTER_IDENTITY_PROVIDERS"]

# Renewal: after how many months an agent's owner must confirm it, by the tier of what it reaches.

MUSTER_RENEWAL_MONTHS = by_tier("MUSTER_RENEWAL_MONTHS")

# Rotation: after how many days a key is due, by the tier of its agent; for how many the earlier
# one still works; and over how many days the use of a scope is looked at.

MUSTER_ROTATION_DAYS = by_tier("MUSTER_ROTATION_DAYS")
MUSTER_ROTATION_OVERLAP_DAYS = given["MUSTER_ROTATION_OVERLAP_DAYS"]
MUSTER_SCOPE_DAYS = given["MUSTER_SCOPE_DAYS"]

# Idle: after how many days without a decision an agent's owner is asked about it, and after how
# many where it has never asked at all.

MUSTER_IDLE_DAYS = given["MUSTER_IDLE_DAYS"]
MUSTER_NEVER_FIRED_DAYS = given["MUSTER_NEVER_FIRED_DAYS"]

# Sources of people: how long one may be silent, how long its log is kept, and how long the
# earlier token of one still works.

MUSTER_SOURCE_SILENT_DAYS = given["MUSTER_SOURCE_SILENT_DAYS"]
MUSTER_SOURCE_LOG_DAYS = given["MUSTER_SOURCE_LOG_DAYS"]
MUSTER_SOURCE_OVERLAP_HOURS = given["MUSTER_SOURCE_OVERLAP_HOURS"]
# The end of an agent: for how many business days those who rely on it may answer, and a system
# that refuses is waited for; after how many days what was revoked is destroyed. By its tier.

MUSTER_END_NOTICE_DAYS = by_tier("MUSTER_END_NOTICE_DAYS")
MUSTER_DESTROY_DAYS = by_tier("MUSTER_DESTROY_DAYS")
MUSTER_END_PATIENCE_DAYS = given["MUSTER_END_PATIENCE_DAYS"]

# Adversarial tests

# What keeps a row of each tier from going live: any attack that would execute, a consequential
# one, or nothing.
MUSTER_PROBE_GATES = by_tier("MUSTER_PROBE_GATE")
# How long a running agent that is attacked may work on after it took a test over.
MUSTER_PROBE_LIVE_SECONDS = given["MUSTER_PROBE_LIVE_SECONDS"]

# The vault: which ones there are, and what each of them needs. docs/reference/vault.md.

MUSTER_VAULTS = given["MUSTER_VAULTS"]
# The embedded vault's key, in the place of the file `vault_kek`; several while it is rotated.
MUSTER_VAULT_KEY = given["MUSTER_VAULT_KEY"]
MUSTER_AWS_REGION = given["MUSTER_AWS_REGION"]
MUSTER_AWS_ENDPOINT = given["MUSTER_AWS_ENDPOINT"]
MUSTER_KV_URL = given["MUSTER_KV_URL"]
MUSTER_KV_NAMESPACE = given["MUSTER_KV_NAMESPACE"]
MUSTER_KV_AUTH = given["MUSTER_KV_AUTH"]
MUSTER_KV_ROLE_ID = given["MUSTER_KV_ROLE_ID"]
MUSTER_KV_SECRET_ID_FILE = given["MUSTER_KV_SECRET_ID_FILE"]
# How long a lease lasts, and how old the decision that it rests on may be.
MUSTER_LEASE_SECONDS = given["MUSTER_LEASE_SECONDS"]
MUSTER_DECISION_SECONDS = given["MUSTER_DECISION_SECONDS"]
# How long the value before stays after a rotation, where nothing else is said.
MUSTER_OVERLAP_HOURS = given["MUSTER_OVERLAP_HOURS"]

# Static files

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = Path(MUSTER_DATA) / "static"
# Source maps are for developers, who can wait.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ("jpg", "png", "gz", "br", "woff", "woff2", "map")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if MUSTER_PROCESS == "test"
            else "governance.static_files.HashedFiles"
        )
    },
}
MEDIA_ROOT = Path(MUSTER_DATA) / "files"

# REST

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "registry.api.authentication.PersonSession",
        "registry.api.authentication.CommandLine",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["governance.kernel.api.StrictJsonParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "governance.kernel.api.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "governance.kernel.api.handle",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Muster",
    "DESCRIPTION": "The register of AI agents, its decisions and its record. Directories say who "
    "works here by SCIM 2.0 at `/scim/v2`, which describes itself: `/scim/v2/Schemas`, "
    "`/scim/v2/ResourceTypes` and `/scim/v2/ServiceProviderConfig`.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "client": {"type": "http", "scheme": "basic"},
        }
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "authz.oauth.described.add_endpoints",
    ],
    "ENUM_NAME_OVERRIDES": {
        "RecordKind": "audit.enums.Kind",
        "KindEnum": "registry.enums.AgentKind",
        "AnomalyKind": "lifecycle.models.anomalies.AnomalyKind",
        "AnomalyState": "lifecycle.models.anomalies.AnomalyState",
        "CaseKind": "lifecycle.models.cases.CaseKind",
        "CaseState": "lifecycle.models.cases.CaseState",
        "ReviewKind": "lifecycle.models.reviews.ReviewKind",
        "SubjectRequestKind": "compliance.enums.RequestKind",
        "SubjectRequestState": "compliance.enums.RequestState",
        "ReviewState": "lifecycle.models.reviews.ReviewState",
        "ReviewOutcome": "lifecycle.models.reviews.ReviewOutcome",
        "ReviewEventKind": "lifecycle.models.reviews.EventKind",
        "ReviewStepRole": "lifecycle.models.reviews.StepRole",
        "ReviewStepState": "lifecycle.models.reviews.StepState",
        "Effect": "authz.api.serializers.EFFECTS",
        "CheckStatus": "authz.api.serializers.CHECK_STATUSES",
        "HoldState": "authz.enums.HoldState",
        "TaskStatus": "authz.api.access_views.STATUSES",
        "CallbackEvent": "authz.access_tasks.EVENTS",
        "ProvisioningState": "lifecycle.models.provisioning.RunState",
        "ProvisioningStepState": "lifecycle.models.provisioning.StepState",
        "AttestationAnswer": "lifecycle.models.renewals.AttestationAnswer",
        "EndState": "lifecycle.models.decommissioning.EndState",
        "EndStepState": "lifecycle.models.decommissioning.EndStepState",
        "FindingAnswer": "lifecycle.models.toxic.FindingAnswer",
        "FindingState": "lifecycle.models.toxic.FindingState",
        "ImportState": "lifecycle.models.people.ImportState",
        "CandidateState": "lifecycle.models.campaigns.CandidateState",
        "PreviewState": "authz.api.whatif_serializers.PREVIEW_STATES",
        "AgentState": "registry.enums.AgentState",
        "CombinedEffect": "registry.enums.CombinedEffect",
        "EvidenceStatus": "compliance.enums.Status",
        "RecordMode": "audit.enums.Mode",
        "ToolEffect": "registry.enums.ToolEffect",
        "TemplateState": "lifecycle.models.templates.TemplateState",
        "Tier": "registry.enums.Tier",
        "Trust": "registry.enums.Trust",
        "ReportedTrust": "authz.wire.TRUSTS",
    },
}

# Background work

CELERY_BROKER_URL = given["CELERY_BROKER_URL"]
MUSTER_QUEUE_DSN = given["MUSTER_QUEUE_DSN"]
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {
        "conn_string": MUSTER_QUEUE_DSN,
        "init_extension": False,
        # Who asks for notices replaces the queue's trigger: two at once can deadlock.
        "use_notify": MUSTER_PROCESS == "worker",
        # Anything above 0 blocks a process's first publish for seconds.
        "wait_time_seconds": 0,
        "visibility_timeout": 900,
        "queue_name_prefix": "muster_",
    }
    if CELERY_BROKER_URL.startswith("pgmq")
    else {}
)
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND = None
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
# Where beat remembers what it did last; never in the folder that it was started in.
CELERY_BEAT_SCHEDULE_FILENAME = str(Path(MUSTER_DATA) / "beat" / "schedule")
# How often each sweep runs, in seconds; `lifecycle.sweeps` says what each of them does.
MUSTER_SWEEPS = {
    "anchors": 60.0,
    "anomalies": 300.0,
    "asked": 15.0,
    "bypass": 60.0,
    "callbacks": 60.0,
    "campaigns": 3600.0,
    "cases": 60.0,
    "counted": 24 * 3600.0,
    "decommissioning": 15.0,
    "erasure": 60.0,
    "grants": 30.0,
    "holds": 30.0,
    "idle": 3600.0,
    "identities": 60.0,
    "leavers": 3600.0,
    "limits": 15.0,
    "notices": 20.0,
    "observed": 15.0,
    "people": 60.0,
    "periodic": 3600.0,
    "previews": 6 * 3600.0,
    "probes": 3600.0,
    "provisioning": 15.0,
    "renewals": 3600.0,
    "reports": 60.0,
    "reservations": 30.0,
    "retention": 6 * 3600.0,
    "reviews": 20.0,
    "rotation": 3600.0,
    "runs": 6 * 3600.0,
    "sealing": 15.0,
    "source_log": 6 * 3600.0,
    "stopped": 15.0,
    "streams": 10.0,
    "suspensions": 15.0,
    "toxic": 60.0,
    "vault": 60.0,
    "watch": 60.0,
}
# Every periodic job of the installation stands here and nowhere else.
CELERY_BEAT_SCHEDULE = {
    "heartbeat": {"task": "governance.heartbeat", "schedule": 30.0},
    "missed-sweeps": {"task": "lifecycle.make_up", "schedule": 60.0, "options": {"expires": 60.0}},
    "next-partition": {"task": "audit.make_next_partition", "schedule": 6 * 3600.0},
} | {
    f"sweep-{name}": {
        "task": "lifecycle.sweep",
        "schedule": seconds,
        "args": [name],
        # A worker that comes back after days runs each sweep once, not once for every miss.
        "options": {"expires": seconds},
    }
    for name, seconds in MUSTER_SWEEPS.items()
}

# What is kept for how long

MUSTER_PREVIEW_DAYS = given["MUSTER_PREVIEW_DAYS"]
# After so many days without an answer, someone whom a campaign asks is asked again.
MUSTER_CAMPAIGN_REMIND_DAYS = given["MUSTER_CAMPAIGN_REMIND_DAYS"]
# What a file of people said goes so many days after it was applied.
MUSTER_IMPORT_DAYS = given["MUSTER_IMPORT_DAYS"]
MUSTER_SWEEP_DAYS = given["MUSTER_SWEEP_DAYS"]
# The files of evidence reports: seven years, as adopted practice. Their rows stay.
MUSTER_REPORT_DAYS = given["MUSTER_REPORT_DAYS"]
# The record itself: at least so many months, whatever frameworks ask besides.
MUSTER_RECORD_MONTHS = given["MUSTER_RECORD_MONTHS"]
# What was sent and returned, by the tier of its entry; "none": what was changed, and why.
MUSTER_PAYLOAD_DAYS = by_tier("MUSTER_PAYLOAD_DAYS", "none")
# For so many days it is shown what will be erased before it is.
MUSTER_RETENTION_NOTICE_DAYS = given["MUSTER_RETENTION_NOTICE_DAYS"]

# Notices

# Where notices may go besides mail: kinds of channels whose addresses name a host, which only
# platform admins set up, and the hosts (`host` or `host:port`) that these may name.
MUSTER_NOTICE_HOSTS = given["MUSTER_NOTICE_HOSTS"]

# Mail: to files until a server is named

EMAIL_URL = given["MUSTER_EMAIL_URL"]
if EMAIL_URL:
    vars().update(environ.Env.email_url_config(EMAIL_URL))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = Path(MUSTER_DATA) / "mail"
DEFAULT_FROM_EMAIL = given["MUSTER_MAIL_FROM"] or f"muster@{_base.hostname or 'localhost'}"

# Time, language, logs

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = "governance.formats"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "governance.logs.Redacting",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
        },
        "object": {"()": "governance.logs.Structured", "process": MUSTER_PROCESS},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": {"text": "line", "json": "object"}[given["MUSTER_LOG_FORMAT"]],
        }
    },
    "root": {"handlers": ["console"], "level": given["MUSTER_LOG_LEVEL"]},
    "loggers": {
        "django.server": {"level": "WARNING"},
        # The web server came with handlers of its own, which take nothing out of a line.
        "uvicorn": {"handlers": [], "propagate": True, "level": "WARNING"},
        "uvicorn.error": {"handlers": [], "propagate": True, "level": "WARNING"},
        "uvicorn.access": {"handlers": [], "propagate": False},
        # What these say of a request holds its address, which may be or carry a credential.
        "apprise": {"level": "CRITICAL"},
        # These write what they send, secrets among it, at DEBUG.
        "boto3": {"level": "WARNING"},
        "botocore": {"level": "WARNING"},
        "hvac": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "urllib3": {"level": "CRITICAL"},
        # Warns that a broker without a host name is at localhost; ours is reached by a socket.
        "kombu.connection": {"level": "ERROR"},
    },
}
