"""Every setting that there is, in the order of the reference page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from governance.configuration.setting import Kind, Setting
from governance.kernel import tiers
from governance.kernel.business_days import check_calendar

# Variables that begin like settings and are read by others: the client, the shell script, Compose,
# and what the tests and benchmarks are told.
ELSEWHERE = (
    *("MUSTER_URL", "MUSTER_TOKEN", "MUSTER_CLIENT_ID", "MUSTER_CLIENT_SECRET", "MUSTER_AGENT"),
    *("MUSTER_CONFIG", "MUSTER_DISCOVERY_SALT", "MUSTER_COMPLETE"),
    *("MUSTER_PYTHON", "MUSTER_PUBLISH", "MUSTER_PUBLISH2", "MUSTER_LOGINS"),
    *("MUSTER_LOADER_URL", "MUSTER_MIGRATOR_URL", "MUSTER_TEST_DB", "MUSTER_TEST_TEMPLATE"),
    "MUSTER_SCREENSHOTS",
    *("MUSTER_KILL_ROUNDS", "MUSTER_REVOCATION_ROUNDS", "MUSTER_CHROMIUM", "MUSTER_BENCH_INSIDE"),
)
EEA = (
    *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE"),
    *("IS", "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK"),
)
DATABASES = ("postgres", "postgresql", "psql", "pgsql")
MAILS = (
    *("smtp", "smtps", "smtp+tls", "smtp+ssl"),
    *("consolemail", "dummymail", "filemail", "memorymail"),
)
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

text = partial(Setting, kind=Kind.TEXT)
secret = partial(Setting, kind=Kind.SECRET)
whole = partial(Setting, kind=Kind.WHOLE)
switch = partial(Setting, kind=Kind.SWITCH)
words = partial(Setting, kind=Kind.WORDS)
listed = partial(Setting, kind=Kind.JSON, default=[], said="none")
file = partial(Setting, kind=Kind.FILE, said="none")
address = partial(Setting, kind=Kind.ADDRESS)


def _tiered(
    family: str,
    defaults: Mapping[str, Any],
    meaning: str,
    *,
    most: Mapping[str, float] | None = None,
    **more: Any,
) -> Iterator[Setting]:
    """One setting for each of `defaults`, whose keys are tiers."""
    for tier, default in defaults.items():
        bounds = {} if most is None else {"most": most[tier]}
        name = f"{family}_{tier.upper()}"
        yield Setting(
            name=name, family=family, meaning=meaning, default=default, **{**more, **bounds}
        )


def _alike(value: Any) -> dict[str, Any]:
    return dict.fromkeys(tiers.TIERS, value)


def _calendar(name: str) -> str:
    try:
        check_calendar(name)
    except ValueError:
        return "must be empty, or a country of ISO 3166 or a part of one, such as DK or DE-BY."
    return ""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return "must be a time zone of the IANA database, such as Europe/Berlin."
    return ""


def _base_url(address: str) -> str:
    found = urlsplit(address)
    if not found.hostname or found.query or found.fragment:
        return "must be an address such as https://muster.example, with a host and no query."
    return ""


def _collector(address: str) -> str:
    found = urlsplit(address)
    if found.scheme == "http" and found.hostname not in ("127.0.0.1", "::1", "localhost"):
        return "must be https, except for a collector on this machine."
    return ""


def _countries(codes: list[str]) -> str:
    wrong = [code for code in codes if len(code) != 2 or not code.isupper()]
    return "must be a list of ISO 3166 codes in capitals, such as AT,BE." if wrong else ""


def _mail(url: str) -> str:
    wrong = "must be an address such as smtp+tls://user:password@host:587."
    try:
        found = urlsplit(url)
        _ = found.port
    except ValueError:
        return wrong
    return "" if found.scheme in MAILS else wrong


_ROTATION = {**_alike(90), tiers.RESTRICTED: 30}
_MONTHS = {tier: default for tier, (default, _) in tiers.MONTHS_TO_RENEWAL.items()}
_MOST_MONTHS = {tier: most for tier, (_, most) in tiers.MONTHS_TO_RENEWAL.items()}

_PROCESS = (
    address(
        name="DATABASE_URL",
        schemes=DATABASES,
        required=True,
        said="embedded",
        meaning="to `./muster up`: an administrator of a PostgreSQL (15 or newer) who may create "
        "roles, instead of the embedded server; reached directly or through a pool in session "
        "mode, since decisions are prepared statements. To a process: its own login",
    ),
    address(
        name="CELERY_BROKER_URL",
        default="pgmq://",
        schemes=("pgmq", "redis", "rediss", "amqp", "amqps", "sentinel", "memory"),
        meaning="`redis://…` or `amqp://…` instead of the queue inside PostgreSQL",
    ),
    Setting(
        name="MUSTER_DATA",
        kind=Kind.FOLDER,
        required=True,
        said="`.muster/` in the checkout",
        meaning="the data folder (same as `--data`)",
    ),
    address(
        name="MUSTER_BASE_URL",
        default="http://127.0.0.1:8000",
        schemes=("http", "https"),
        look=_base_url,
        said="from `--host` and `--port`",
        meaning="the address that people and agents use, without a trailing slash; metadata, "
        "tokens and links come from it",
    ),
    whole(
        name="MUSTER_PORT",
        default=8000,
        least=0,
        most=65535,
        meaning="the port that `./muster up` listens on (same as `--port`)",
    ),
    whole(
        name="MUSTER_WEB_WORKERS",
        default=0,
        least=1,
        most=256,
        said="one for each processor, 4 at the most",
        meaning="web processes; each judges on one processor",
    ),
    Setting(
        name="MUSTER_KEYS",
        kind=Kind.FOLDER,
        required=True,
        told=True,
        said="`keys/` in the data folder",
        meaning="folder of the key files: `secret_key`, `kek`, `index_key`, `vault_kek`, "
        "`receipt_key`, `origin`, `tokens/`",
    ),
    secret(
        name="MUSTER_SECRET_KEY",
        said="the file",
        meaning="what signs cookies, in the place of the file `secret_key`; `./muster key` prints "
        "a new one",
    ),
    Setting(
        name="MUSTER_PROCESS",
        kind=Kind.CHOICE,
        default="command",
        choices=("web", "worker", "beat", "command", "migrate", "test", "anchors", "streams"),
        told=True,
        said="set by `up`",
        meaning="what a process is",
    ),
    secret(
        name="MUSTER_QUEUE_DSN",
        told=True,
        said="set by `up`",
        meaning="libpq string of the login that owns the embedded queue",
    ),
    Setting(
        name="MUSTER_SEALER",
        kind=Kind.FOLDER,
        told=True,
        said="set by `up`",
        meaning="to the sealer: its folder",
    ),
    Setting(
        name="MUSTER_ANCHORED",
        kind=Kind.FOLDER,
        told=True,
        said="set by `up`",
        meaning="to the sealer: the folder of checkpoints that came back from outside",
    ),
    text(
        name="MUSTER_ORIGIN", told=True, said="set by `up`", meaning="to the sealer: the log's name"
    ),
    text(
        name="MUSTER_RECEIPT_KEYS",
        told=True,
        said="set by `up`",
        meaning="to the sealer: the receipt keys that it certifies",
    ),
)

_WEB = (
    words(
        name="MUSTER_ALLOWED_HOSTS",
        default=None,
        said="the base URL's host, localhost",
        meaning="host names that are answered",
    ),
    switch(
        name="MUSTER_BEHIND_PROXY",
        default=False,
        meaning="trust `X-Forwarded-Proto` from the proxy in front",
    ),
    switch(name="MUSTER_SSL_REDIRECT", default=False, meaning="redirect plain HTTP to HTTPS"),
    switch(
        name="MUSTER_DEBUG",
        default=False,
        meaning="Django's debugging pages; no process serves while it is on",
    ),
)

_PEOPLE = (
    switch(
        name="MUSTER_APPROVER_MFA",
        default=True,
        meaning="people in security, DPO, source-owner and platform-admin groups need a second "
        "factor (never asked for in a demo)",
    ),
    whole(
        name="MUSTER_COMMAND_LINE_HOURS",
        default=8,
        unit="hours",
        least=1,
        most=72,
        meaning="how long a [command line](cli.md#the-token-of-a-command-line) may act as its "
        "person at the most",
    ),
    listed(
        name="MUSTER_SIGN_IN_PROVIDERS",
        meaning="identity providers that people sign in with, see "
        "[Sign in with your identity provider](../howto/sign-in-with-your-idp.md)",
    ),
    file(name="MUSTER_SIGN_IN_FILE", meaning="the same list in a file"),
    Setting(
        name="MUSTER_LOCAL_SIGN_IN",
        kind=Kind.CHOICE,
        default="on",
        choices=("on", "off"),
        meaning="whether passwords and passkeys of Muster's own open anything besides "
        "[emergency access](../howto/break-glass.md)",
    ),
    whole(
        name="MUSTER_SOURCE_SILENT_DAYS",
        default=3,
        unit="days",
        least=1,
        meaning="without a word from it for so long, a source of people is called silent",
    ),
    whole(
        name="MUSTER_SOURCE_LOG_DAYS",
        default=90,
        unit="days",
        least=1,
        meaning="how far the log of what sources did goes back",
    ),
    whole(
        name="MUSTER_SOURCE_OVERLAP_HOURS",
        default=24,
        unit="hours",
        least=0,
        meaning="how long the earlier token of a source works after a new one",
    ),
    whole(
        name="MUSTER_IMPORT_DAYS",
        default=30,
        unit="days",
        least=1,
        meaning="how long the rows of an applied file of people are kept",
    ),
)

_CALLS = (
    whole(
        name="MUSTER_SESSION_HOURS",
        default=24,
        unit="hours",
        least=1,
        meaning="how long a [session](sessions.md) is open at the most",
    ),
    *_tiered(
        "MUSTER_CARRY_HOURS",
        _alike(24),
        "how long an agent carries what it read of that tier into its next runs",
        kind=Kind.WHOLE,
        unit="hours",
        least=0,
    ),
    whole(
        name="MUSTER_HOLD_HOURS",
        default=24,
        unit="hours",
        least=1,
        meaning="how long a [held call](holds.md) waits for a human",
    ),
    whole(
        name="MUSTER_RELEASE_MINUTES",
        default=60,
        unit="minutes",
        least=1,
        meaning="how long an approval is good for",
    ),
    whole(
        name="MUSTER_OPEN_HOLDS",
        default=1000,
        least=1,
        meaning="how many calls of one agent may wait",
    ),
    whole(
        name="MUSTER_OPEN_HOLD_SHAPES",
        default=20,
        least=1,
        meaning="how many kinds of calls of one agent may wait",
    ),
    whole(
        name="MUSTER_GRANT_DAYS",
        default=90,
        unit="days",
        least=1,
        meaning="how long a [grant](acting.md) lasts at the most",
    ),
    whole(
        name="MUSTER_DELEGATION_MINUTES",
        default=60,
        unit="minutes",
        least=1,
        meaning="how long a [delegation](acting.md) lasts at the most",
    ),
    whole(
        name="MUSTER_DELEGATION_DEPTH",
        default=3,
        least=0,
        most=3,
        meaning="how deep agents may hand on",
    ),
    whole(
        name="MUSTER_DELEGATION_FAN_OUT",
        default=20,
        least=0,
        meaning="how many live delegations one agent has at one place",
    ),
    *_tiered(
        "MUSTER_BREAKER_DENIALS",
        _alike(200),
        "how many denials in an hour suspend an agent of that tier; 0 for never",
        kind=Kind.WHOLE,
        least=0,
    ),
    *(
        whole(
            name=f"MUSTER_CEILING_{name}",
            family="MUSTER_CEILING",
            default=default,
            least=0,
            meaning="[limits](limits.md) above which an owner's own word is not enough; money in "
            "minor units of the agent's currency",
        )
        for name, default in (
            *(("CALLS_MINUTE", 600), ("CALLS_HOUR", 6_000)),
            *(("SPEND_DAY", 50_000), ("SPEND_MONTH", 1_000_000)),
        )
    ),
    whole(
        name="MUSTER_RESERVATION_MINUTES",
        default=60,
        unit="minutes",
        least=1,
        meaning="after how long money that nobody reported on counts at what was reserved",
    ),
    words(
        name="MUSTER_APPROVED_COUNTRIES",
        default=list(EEA),
        look=_countries,
        said="the countries of the EEA",
        meaning="where providers may be without the DPO's signature, as ISO 3166 codes; empty: "
        "nowhere",
    ),
)

_LIFE = (
    text(
        name="MUSTER_CALENDAR",
        look=_calendar,
        said="weekends alone",
        meaning="whose public holidays are no business days: a country or a subdivision of it, "
        "such as `DK` or `DE-BY`",
    ),
    text(
        name="MUSTER_ZONE",
        default="UTC",
        look=_zone,
        meaning="the time zone in which a day ends for [reviews](reviews.md) that no single person "
        "signs",
    ),
    *_tiered(
        "MUSTER_RENEWAL_MONTHS",
        _MONTHS,
        "after how long an agent is [renewed](renewals.md)",
        kind=Kind.WHOLE,
        unit="months",
        least=1,
        most=_MOST_MONTHS,
    ),
    *_tiered(
        "MUSTER_ROTATION_DAYS",
        _ROTATION,
        "after how long a key is due; may only be shorter",
        kind=Kind.WHOLE,
        unit="days",
        least=1,
        most=_ROTATION,
    ),
    whole(
        name="MUSTER_ROTATION_OVERLAP_DAYS",
        default=7,
        unit="days",
        least=1,
        most=89,
        meaning="how long an agent's earlier secret works after a rotation; shorter than the time "
        "to the next one",
    ),
    whole(
        name="MUSTER_SCOPE_DAYS",
        default=90,
        unit="days",
        least=1,
        meaning="over how long the use of a scope is looked at",
    ),
    *_tiered(
        "MUSTER_END_NOTICE_DAYS",
        {"public": 1, "internal": 2, "confidential": 3, "restricted": 5},
        "how long those who rely on an agent may answer before it ends without their word",
        kind=Kind.WHOLE,
        unit="business days",
        least=0,
        most=_alike(20),
    ),
    whole(
        name="MUSTER_END_PATIENCE_DAYS",
        default=5,
        unit="business days",
        least=1,
        most=20,
        meaning="how long a system that refuses is waited for before the row is closed without it",
    ),
    *_tiered(
        "MUSTER_DESTROY_DAYS",
        {"public": 30, "internal": 30, "confidential": 14, "restricted": 7},
        "after how long what Muster stored for an agent that ended is destroyed for good",
        kind=Kind.WHOLE,
        unit="days",
        least=0,
        most=_alike(90),
    ),
    whole(
        name="MUSTER_IDLE_DAYS",
        default=90,
        unit="days",
        least=14,
        most=180,
        meaning="after how long without a decision an agent's owner is [asked about it](idle.md)",
    ),
    whole(
        name="MUSTER_NEVER_FIRED_DAYS",
        default=30,
        unit="days",
        least=7,
        most=180,
        meaning="the same for an agent that has never asked at all; no more than "
        "`MUSTER_IDLE_DAYS`",
    ),
    whole(
        name="MUSTER_CAMPAIGN_REMIND_DAYS",
        default=3,
        unit="days",
        least=1,
        meaning="after how long without an answer someone whom a "
        "[campaign](../howto/bring-in-what-runs.md) asks is asked again",
    ),
    *_tiered(
        "MUSTER_PROBE_GATE",
        {**_alike("consequential"), tiers.RESTRICTED: "any"},
        "what keeps a row of that tier from going live when it is [attacked](probe-corpus.md)",
        kind=Kind.CHOICE,
        choices=("any", "consequential", "off"),
    ),
    whole(
        name="MUSTER_PROBE_LIVE_SECONDS",
        default=20,
        unit="seconds",
        least=1,
        meaning="how long a [running agent that is attacked](probe-live.md) may work on after it "
        "took a test over",
    ),
)

_OUT = (
    words(
        name="MUSTER_EGRESS_ALLOWED",
        default=[],
        said="nothing",
        meaning="what Muster may call inside a network, as `host:port`",
    ),
    file(name="MUSTER_EGRESS_CA", meaning="further roots for what Muster calls"),
    file(
        name="MUSTER_PDP_SECRETS",
        meaning="the file with what [decision points outside](../howto/ask-another-pdp.md) are "
        "signed in to with; the web processes alone are told of it",
    ),
    listed(
        name="MUSTER_IDENTITY_PROVIDERS",
        meaning="identity providers that get a client for each agent, see "
        "[Connect an identity provider](../howto/connect-an-idp.md)",
    ),
    words(
        name="MUSTER_NOTICE_HOSTS",
        default=[],
        said="none",
        meaning="hosts (`host` or `host:port`) that channels of notices may name, where their kind "
        "names a host",
    ),
    secret(
        name="MUSTER_EMAIL_URL",
        said="files in `mail/` of the data folder",
        meaning="the mail server: `smtp+tls://user:password@host:587`",
        look=_mail,
    ),
    text(name="MUSTER_MAIL_FROM", said="`muster@` the host", meaning="sender of mails"),
)

_VAULT = (
    words(
        name="MUSTER_VAULTS",
        default=["embedded"],
        choices=("embedded", "aws", "kv"),
        meaning="which [vaults](vault.md) there are",
    ),
    secret(
        name="MUSTER_VAULT_KEY",
        said="the file",
        meaning="the embedded vault's key (base64url of 32 bytes) in the place of the file "
        "`vault_kek`; while it is rotated the new one, a comma, the old one",
    ),
    text(
        name="MUSTER_AWS_REGION",
        default="eu-central-1",
        meaning="the region that `./muster doctor` asks. Muster signs in to AWS as its library "
        "finds it: environment, profile, the machine's role",
    ),
    address(
        name="MUSTER_AWS_ENDPOINT",
        schemes=("https", "http"),
        said="AWS's own",
        meaning="another address than AWS's own",
    ),
    address(
        name="MUSTER_KV_URL",
        schemes=("https", "http"),
        said="none",
        meaning="HashiCorp Vault or OpenBao; needed where `kv` is among the vaults",
    ),
    text(name="MUSTER_KV_NAMESPACE", said="none", meaning="the namespace in it"),
    text(name="MUSTER_KV_AUTH", default="approle", meaning="where AppRole is mounted"),
    text(
        name="MUSTER_KV_ROLE_ID",
        said="none",
        meaning="the AppRole that Muster signs in with; needed where `kv` is among the vaults",
    ),
    file(
        name="MUSTER_KV_SECRET_ID_FILE",
        said="`kv_secret_id` in the key folder",
        meaning="the file with the AppRole's secret id",
    ),
    whole(
        name="MUSTER_LEASE_SECONDS",
        default=300,
        unit="seconds",
        least=1,
        meaning="how long a lease lasts",
    ),
    whole(
        name="MUSTER_DECISION_SECONDS",
        default=30,
        unit="seconds",
        least=1,
        meaning="how old the decision that a lease rests on may be",
    ),
    whole(
        name="MUSTER_OVERLAP_HOURS",
        default=24,
        unit="hours",
        least=0,
        meaning="how long the value before stays after a rotation, where nothing else is said",
    ),
)

_RECORD = (
    Setting(
        name="MUSTER_SEAL_SECONDS",
        kind=Kind.DECIMAL,
        default=2.0,
        unit="seconds",
        least=0.1,
        most=2,
        meaning="after how long the [sealer](sealing.md) looks again for what is new",
    ),
    listed(
        name="MUSTER_ANCHORS",
        meaning="[anchors](anchors.md): places outside that are told each checkpoint",
    ),
    file(name="MUSTER_ANCHORS_FILE", meaning="the same list in a file"),
    file(
        name="MUSTER_ANCHOR_SECRETS",
        meaning="the file with what anchors sign in with; the worker alone is told of it",
    ),
    listed(
        name="MUSTER_STREAMS",
        meaning="[streams](exports.md#streams): receivers that are sent every entry",
    ),
    file(name="MUSTER_STREAMS_FILE", meaning="the same list in a file"),
    file(
        name="MUSTER_STREAM_SECRETS",
        meaning="the file with what streams sign in with; the worker alone is told of it",
    ),
    whole(
        name="MUSTER_RECORD_MONTHS",
        default=12,
        unit="months",
        least=6,
        most=240,
        meaning="the least time for which the [record](retention.md) is kept, whatever frameworks "
        "ask besides",
    ),
    *_tiered(
        "MUSTER_PAYLOAD_DAYS",
        {"public": 730, "internal": 730, "confidential": 365, "restricted": 183, "none": 2557},
        "for how long [content](retention.md) is kept, by the tier of its entry",
        kind=Kind.WHOLE,
        unit="days",
        least=30,
        most={**_alike(3660), "none": 3660},
    ),
    whole(
        name="MUSTER_RETENTION_NOTICE_DAYS",
        default=7,
        unit="days",
        least=1,
        most=30,
        meaning="for how long it is shown what will be erased by its age",
    ),
    whole(
        name="MUSTER_REPORT_DAYS",
        default=2557,
        unit="days",
        least=1,
        meaning="how long the files of [evidence reports](evidence.md) are kept; seven years, as "
        "adopted practice",
    ),
    whole(
        name="MUSTER_PREVIEW_DAYS",
        default=90,
        unit="days",
        least=1,
        meaning="after how long previews of changes are deleted",
    ),
    whole(
        name="MUSTER_SWEEP_DAYS",
        default=30,
        unit="days",
        least=1,
        meaning="how far the log of the sweeps goes back",
    ),
)

_WATCH = (
    secret(
        name="MUSTER_METRICS_TOKEN",
        said="none: this machine alone",
        meaning="bearer token with which [`/metrics`](../howto/watch-an-installation.md) may be "
        "read from another machine",
    ),
    Setting(
        name="MUSTER_LOG_LEVEL",
        kind=Kind.CHOICE,
        default="INFO",
        choices=LEVELS,
        meaning="what is written to the log",
    ),
    Setting(
        name="MUSTER_LOG_FORMAT",
        kind=Kind.CHOICE,
        default="text",
        choices=("text", "json"),
        meaning="lines for people, or one [JSON object](../howto/watch-an-installation.md#logs) a "
        "line",
    ),
    address(
        name="OTEL_EXPORTER_OTLP_ENDPOINT",
        schemes=("https", "http"),
        look=_collector,
        said="off",
        meaning="where [traces](../howto/watch-an-installation.md#traces) are sent, by OTLP over "
        "HTTP; plain http to this machine alone; needs the extra `otel`",
    ),
)


SECTIONS: Mapping[str, tuple[Setting, ...]] = {
    "What a process is": _PROCESS,
    "The web address": _WEB,
    "People": _PEOPLE,
    "Calls": _CALLS,
    "The life of an agent": _LIFE,
    "What Muster calls": _OUT,
    "The vault": _VAULT,
    "The record": _RECORD,
    "Watching it": _WATCH,
}
SETTINGS = tuple(each for section in SECTIONS.values() for each in section)
