"""Settings of a Muster process. Every value comes from the environment; what is missing says so."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import environ

# The models of SCIM come before the rest: each looks through every module that is there for its own
# source, which takes every process two seconds more once Django and Muster are imported.
import scim2_models  # noqa: F401
import scim2_server.service  # noqa: F401
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from governance.kernel import tiers
from governance.kernel.business_days import check_calendar

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()


def required(name: str) -> str:
    """The variable's value; a loud failure that names it otherwise."""
    value = env.str(name, default="")
    if not value:
        raise ImproperlyConfigured(
            f"{name} is not set. `./muster up` sets it; see docs/reference/settings.md."
        )
    return str(value)


# What this process is

MUSTER_PROCESS = env.str("MUSTER_PROCESS", default="command")
MUSTER_DATA = required("MUSTER_DATA")
MUSTER_KEYS = required("MUSTER_KEYS")
MUSTER_BASE_URL = env.str("MUSTER_BASE_URL", default="http://127.0.0.1:8000").rstrip("/")
DEBUG = env.bool("MUSTER_DEBUG", default=False)
try:
    SECRET_KEY = env.str("MUSTER_SECRET_KEY", default="") or (
        (Path(MUSTER_KEYS) / "secret_key").read_text().strip()
    )
except OSError as error:
    raise ImproperlyConfigured(f"MUSTER_KEYS has no file secret_key: {error}.") from error

_base = urlsplit(MUSTER_BASE_URL)
ALLOWED_HOSTS = env.list(
    "MUSTER_ALLOWED_HOSTS",
    default=sorted({_base.hostname or "127.0.0.1", "localhost", "127.0.0.1"}),
)
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

_database = env.db_url_config(required("DATABASE_URL"))
if _database["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured(
        "DATABASE_URL must be a postgres:// URL. Muster runs on nothing else."
    )
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
        "TEST": {"NAME": env.str("MUSTER_TEST_DB", default="test_muster")},
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
MUSTER_SIGN_IN_FILE = env.str("MUSTER_SIGN_IN_FILE", default="")
MUSTER_SIGN_IN_PROVIDERS = env.json("MUSTER_SIGN_IN_PROVIDERS", default=[])
MUSTER_LOCAL_SIGN_IN = env.str("MUSTER_LOCAL_SIGN_IN", default="on")
if MUSTER_SIGN_IN_FILE:
    try:
        MUSTER_SIGN_IN_PROVIDERS = json.loads(Path(MUSTER_SIGN_IN_FILE).read_text())
    except (OSError, ValueError) as error:
        raise ImproperlyConfigured(f"MUSTER_SIGN_IN_FILE cannot be read: {error}.") from error
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
MUSTER_APPROVER_MFA = env.bool("MUSTER_APPROVER_MFA", default=True)
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
SECURE_SSL_REDIRECT = env.bool("MUSTER_SSL_REDIRECT", default=False)
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _https
SECURE_HSTS_PRELOAD = False
# The preload list is a promise for the whole domain, which is not ours to make.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("MUSTER_BEHIND_PROXY", default=False) else None
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
MUSTER_CARRY_HOURS = {
    tier: env.int(f"MUSTER_CARRY_HOURS_{tier.upper()}", default=24)
    for tier in ("public", "internal", "confidential", "restricted")
}
# How many denials in an hour stop an agent, by the tier of its row; 0 for never.
MUSTER_BREAKER_DENIALS = {
    tier: env.int(f"MUSTER_BREAKER_DENIALS_{tier.upper()}", default=200)
    for tier in ("public", "internal", "confidential", "restricted")
}
# Above these limits the owner's own word is not enough for an agent. Money in minor units.
MUSTER_CEILINGS = {
    "rate_per_minute": env.int("MUSTER_CEILING_CALLS_MINUTE", default=600),
    "rate_per_hour": env.int("MUSTER_CEILING_CALLS_HOUR", default=6_000),
    "spend_cap_minor": env.int("MUSTER_CEILING_SPEND_DAY", default=50_000),
    "spend_cap_month_minor": env.int("MUSTER_CEILING_SPEND_MONTH", default=1_000_000),
}
# Where providers may be without the data protection officer's word: the EEA, if nothing is said.
MUSTER_APPROVED_COUNTRIES = frozenset(
    env.str(
        "MUSTER_APPROVED_COUNTRIES",
        default="AT,BE,BG,CY,CZ,DE,DK,EE,ES,FI,FR,GR,HR,HU,IE,IS,IT,LI,LT,LU,LV,MT,NL,NO,PL,PT,"
        "RO,SE,SI,SK",
    ).split(",")
)
# Whose holidays count, and when a day ends, where a person says nothing else: DK, DE-BY.
MUSTER_CALENDAR = env.str("MUSTER_CALENDAR", default="")
MUSTER_ZONE = env.str("MUSTER_ZONE", default="UTC")
try:
    check_calendar(MUSTER_CALENDAR)
    ZoneInfo(MUSTER_ZONE)
except (ValueError, ZoneInfoNotFoundError) as error:
    raise ImproperlyConfigured(f"MUSTER_CALENDAR or MUSTER_ZONE: {error}") from error
# After how long what was reserved and never reported on counts as spent.
MUSTER_RESERVATION_MINUTES = env.int("MUSTER_RESERVATION_MINUTES", default=60)
MUSTER_SESSION_HOURS = env.int("MUSTER_SESSION_HOURS", default=24)

# Holds: how long an action waits for a human, how long its approval is good for, and how many
# may wait of one agent, and how many kinds of them.

MUSTER_HOLD_HOURS = env.int("MUSTER_HOLD_HOURS", default=24)
MUSTER_RELEASE_MINUTES = env.int("MUSTER_RELEASE_MINUTES", default=60)
MUSTER_OPEN_HOLDS = env.int("MUSTER_OPEN_HOLDS", default=1000)
MUSTER_OPEN_HOLD_SHAPES = env.int("MUSTER_OPEN_HOLD_SHAPES", default=20)

# Acting for someone else: how many days a grant lasts at the most, and how long a delegation, how
# deep, and how many one agent may have live at one place.

MUSTER_GRANT_DAYS = env.int("MUSTER_GRANT_DAYS", default=90)
MUSTER_DELEGATION_MINUTES = env.int("MUSTER_DELEGATION_MINUTES", default=60)
MUSTER_DELEGATION_DEPTH = env.int("MUSTER_DELEGATION_DEPTH", default=3)
MUSTER_DELEGATION_FAN_OUT = env.int("MUSTER_DELEGATION_FAN_OUT", default=20)

# Who may read /metrics from another machine.

MUSTER_METRICS_TOKEN = env.str("MUSTER_METRICS_TOKEN", default="")

# Out: what may be called inside a network, as host:port, and a bundle of further roots.

MUSTER_EGRESS_ALLOWED = frozenset(env.list("MUSTER_EGRESS_ALLOWED", default=[]))
MUSTER_EGRESS_CA = env.str("MUSTER_EGRESS_CA", default="")

# Anchors: places outside that are told each checkpoint, a JSON list or a file with one. What they
# sign in with lies in a file of which the worker alone is told. docs/reference/anchors.md.

MUSTER_ANCHORS = env.json("MUSTER_ANCHORS", default=[])
MUSTER_ANCHORS_FILE = env.str("MUSTER_ANCHORS_FILE", default="")
MUSTER_ANCHOR_SECRETS = env.str("MUSTER_ANCHOR_SECRETS", default="")
if MUSTER_ANCHORS_FILE:
    try:
        MUSTER_ANCHORS = json.loads(Path(MUSTER_ANCHORS_FILE).read_text())
    except (OSError, ValueError) as error:
        raise ImproperlyConfigured(f"MUSTER_ANCHORS_FILE cannot be read: {error}.") from error

# Streams: receivers outside, such as a SIEM, that are sent every entry of the record. As with
# anchors, what they sign in with lies in a file of its own. docs/reference/exports.md.
MUSTER_STREAMS = env.json("MUSTER_STREAMS", default=[])
MUSTER_STREAMS_FILE = env.str("MUSTER_STREAMS_FILE", default="")
MUSTER_STREAM_SECRETS = env.str("MUSTER_STREAM_SECRETS", default="")
if MUSTER_STREAMS_FILE:
    try:
        MUSTER_STREAMS = json.loads(Path(MUSTER_STREAMS_FILE).read_text())
    except (OSError, ValueError) as error:
        raise ImproperlyConfigured(f"MUSTER_STREAMS_FILE cannot be read: {error}.") from error

# Identity providers of the house that get a client for each agent: a JSON list, see
# docs/howto/connect-an-idp.md.

MUSTER_IDENTITY_PROVIDERS = env.json("MUSTER_IDENTITY_PROVIDERS", default=[])

# Renewal: after how many months an agent's owner must confirm it, by the tier of what it reaches.

MUSTER_RENEWAL_MONTHS = {
    tier: env.int(f"MUSTER_RENEWAL_MONTHS_{tier.upper()}", default=default)
    for tier, (default, _) in tiers.MONTHS_TO_RENEWAL.items()
}
for _tier, _months in MUSTER_RENEWAL_MONTHS.items():
    if _sentence := tiers.wrong_months(_tier, _months):
        raise ImproperlyConfigured(f"MUSTER_RENEWAL_MONTHS_{_tier.upper()} {_sentence}")

# Rotation: after how many days a key is due, by the tier of its agent; for how many the earlier
# one still works; and over how many days the use of a scope is looked at.

MUSTER_ROTATION_DAYS = {
    tier: env.int(
        f"MUSTER_ROTATION_DAYS_{tier.upper()}", default=30 if tier == "restricted" else 90
    )
    for tier in ("public", "internal", "confidential", "restricted")
}
MUSTER_ROTATION_OVERLAP_DAYS = env.int("MUSTER_ROTATION_OVERLAP_DAYS", default=7)
MUSTER_SCOPE_DAYS = env.int("MUSTER_SCOPE_DAYS", default=90)
for _tier, _days in MUSTER_ROTATION_DAYS.items():
    if not 0 < _days <= (30 if _tier == "restricted" else 90):
        raise ImproperlyConfigured(
            f"MUSTER_ROTATION_DAYS_{_tier.upper()} may only shorten the time, and is a day or more."
        )
if not 0 < MUSTER_ROTATION_OVERLAP_DAYS < min(MUSTER_ROTATION_DAYS.values()):
    raise ImproperlyConfigured(
        "MUSTER_ROTATION_OVERLAP_DAYS must be a day or more, and shorter than the time to the "
        "next rotation."
    )

# Idle: after how many days without a decision an agent's owner is asked about it, and after how
# many where it has never asked at all.

MUSTER_IDLE_DAYS = env.int("MUSTER_IDLE_DAYS", default=90)
MUSTER_NEVER_FIRED_DAYS = env.int("MUSTER_NEVER_FIRED_DAYS", default=30)
if not 14 <= MUSTER_IDLE_DAYS <= 180:
    raise ImproperlyConfigured("MUSTER_IDLE_DAYS must be from 14 to 180 days.")
if not 7 <= MUSTER_NEVER_FIRED_DAYS <= MUSTER_IDLE_DAYS:
    raise ImproperlyConfigured(
        "MUSTER_NEVER_FIRED_DAYS must be 7 days or more, and no more than MUSTER_IDLE_DAYS."
    )
# Sources of people: how long one may be silent, how long its log is kept, and how long the
# earlier token of one still works.

MUSTER_SOURCE_SILENT_DAYS = env.int("MUSTER_SOURCE_SILENT_DAYS", default=3)
MUSTER_SOURCE_LOG_DAYS = env.int("MUSTER_SOURCE_LOG_DAYS", default=90)
MUSTER_SOURCE_OVERLAP_HOURS = env.int("MUSTER_SOURCE_OVERLAP_HOURS", default=24)
# The end of an agent: for how many business days those who rely on it may answer, and a system
# that refuses is waited for; after how many days what was revoked is destroyed. By its tier.

MUSTER_END_NOTICE_DAYS = {
    tier: env.int(f"MUSTER_END_NOTICE_DAYS_{tier.upper()}", default=days)
    for tier, days in {"public": 1, "internal": 2, "confidential": 3, "restricted": 5}.items()
}
MUSTER_DESTROY_DAYS = {
    tier: env.int(f"MUSTER_DESTROY_DAYS_{tier.upper()}", default=days)
    for tier, days in {"public": 30, "internal": 30, "confidential": 14, "restricted": 7}.items()
}
MUSTER_END_PATIENCE_DAYS = env.int("MUSTER_END_PATIENCE_DAYS", default=5)
for _tier, _days in MUSTER_END_NOTICE_DAYS.items():
    if not 0 <= _days <= 20:
        raise ImproperlyConfigured(f"MUSTER_END_NOTICE_DAYS_{_tier.upper()} is between 0 and 20.")
for _tier, _days in MUSTER_DESTROY_DAYS.items():
    if not 0 <= _days <= 90:
        raise ImproperlyConfigured(f"MUSTER_DESTROY_DAYS_{_tier.upper()} is between 0 and 90.")
if not 1 <= MUSTER_END_PATIENCE_DAYS <= 20:
    raise ImproperlyConfigured("MUSTER_END_PATIENCE_DAYS is between 1 and 20.")

# Adversarial tests

# What keeps a row of each tier from going live: any attack that would execute, a consequential
# one, or nothing.
_PROBE_GATES = ("any", "consequential", "off")
MUSTER_PROBE_GATES = {
    tier: env.str(
        f"MUSTER_PROBE_GATE_{tier.upper()}",
        default="any" if tier == "restricted" else "consequential",
    )
    for tier in ("public", "internal", "confidential", "restricted")
}
# How long a running agent that is attacked may work on after it took a test over.
MUSTER_PROBE_LIVE_SECONDS = env.int("MUSTER_PROBE_LIVE_SECONDS", default=20)
for _tier, _gate in MUSTER_PROBE_GATES.items():
    if _gate not in _PROBE_GATES:
        raise ImproperlyConfigured(
            f"MUSTER_PROBE_GATE_{_tier.upper()} must be one of {', '.join(_PROBE_GATES)}."
        )

# The vault: which ones there are, and what each of them needs. docs/reference/vault.md.

_VAULTS = ("embedded", "aws", "kv")
MUSTER_VAULTS = env.list("MUSTER_VAULTS", default=["embedded"])
if not MUSTER_VAULTS or not set(MUSTER_VAULTS) <= set(_VAULTS):
    raise ImproperlyConfigured(f"MUSTER_VAULTS must name some of {', '.join(_VAULTS)}.")
# The embedded vault's key, in the place of the file `vault_kek`; several while it is rotated.
MUSTER_VAULT_KEY = env.str("MUSTER_VAULT_KEY", default="")
MUSTER_AWS_REGION = env.str("MUSTER_AWS_REGION", default="eu-central-1")
MUSTER_AWS_ENDPOINT = env.str("MUSTER_AWS_ENDPOINT", default="")
MUSTER_KV_URL = env.str("MUSTER_KV_URL", default="")
MUSTER_KV_NAMESPACE = env.str("MUSTER_KV_NAMESPACE", default="")
MUSTER_KV_AUTH = env.str("MUSTER_KV_AUTH", default="approle")
MUSTER_KV_ROLE_ID = env.str("MUSTER_KV_ROLE_ID", default="")
MUSTER_KV_SECRET_ID_FILE = env.str("MUSTER_KV_SECRET_ID_FILE", default="")
for _name in ("MUSTER_KV_URL", "MUSTER_KV_ROLE_ID") if "kv" in MUSTER_VAULTS else ():
    required(_name)
# How long a lease lasts, and how old the decision that it rests on may be.
MUSTER_LEASE_SECONDS = env.int("MUSTER_LEASE_SECONDS", default=300)
MUSTER_DECISION_SECONDS = env.int("MUSTER_DECISION_SECONDS", default=30)
# How long the value before stays after a rotation, where nothing else is said.
MUSTER_OVERLAP_HOURS = env.int("MUSTER_OVERLAP_HOURS", default=24)

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

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="pgmq://")
MUSTER_QUEUE_DSN = env.str("MUSTER_QUEUE_DSN", default="")
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

MUSTER_PREVIEW_DAYS = env.int("MUSTER_PREVIEW_DAYS", default=90)
# After so many days without an answer, someone whom a campaign asks is asked again.
MUSTER_CAMPAIGN_REMIND_DAYS = env.int("MUSTER_CAMPAIGN_REMIND_DAYS", default=3)
# What a file of people said goes so many days after it was applied.
MUSTER_IMPORT_DAYS = env.int("MUSTER_IMPORT_DAYS", default=30)
MUSTER_SWEEP_DAYS = env.int("MUSTER_SWEEP_DAYS", default=30)
# The files of evidence reports: seven years, as adopted practice. Their rows stay.
MUSTER_REPORT_DAYS = env.int("MUSTER_REPORT_DAYS", default=2557)
# The record itself: at least so many months, whatever frameworks ask besides.
MUSTER_RECORD_MONTHS = env.int("MUSTER_RECORD_MONTHS", default=12)
if not 6 <= MUSTER_RECORD_MONTHS <= 240:
    raise ImproperlyConfigured("MUSTER_RECORD_MONTHS must be between 6 and 240.")
# What was sent and returned, by the tier of its entry; "none": what was changed, and why.
MUSTER_PAYLOAD_DAYS = {
    tier: env.int(f"MUSTER_PAYLOAD_DAYS_{tier.upper()}", default=default)
    for tier, default in (
        *(("none", 2557), ("public", 730), ("internal", 730)),
        *(("confidential", 365), ("restricted", 183)),
    )
}
for _tier, _days in MUSTER_PAYLOAD_DAYS.items():
    if not 30 <= _days <= 3660:
        raise ImproperlyConfigured(
            f"MUSTER_PAYLOAD_DAYS_{_tier.upper()} must be between 30 and 3660."
        )
# For so many days it is shown what will be erased before it is.
MUSTER_RETENTION_NOTICE_DAYS = env.int("MUSTER_RETENTION_NOTICE_DAYS", default=7)
if not 1 <= MUSTER_RETENTION_NOTICE_DAYS <= 30:
    raise ImproperlyConfigured("MUSTER_RETENTION_NOTICE_DAYS must be between 1 and 30.")

# Notices

# Where notices may go besides mail: kinds of channels whose addresses name a host, which only
# platform admins set up, and the hosts (`host` or `host:port`) that these may name.
MUSTER_NOTICE_HOSTS = env.list("MUSTER_NOTICE_HOSTS", default=[])

# Mail: to files until a server is named

EMAIL_URL = env.str("MUSTER_EMAIL_URL", default="")
if EMAIL_URL:
    vars().update(env.email_url_config(EMAIL_URL))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = Path(MUSTER_DATA) / "mail"
DEFAULT_FROM_EMAIL = env.str("MUSTER_MAIL_FROM", default=f"muster@{_base.hostname or 'localhost'}")

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
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("MUSTER_LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.server": {"level": "WARNING"},
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
