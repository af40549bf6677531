import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
import simple_history.models
from django.conf import settings
from django.db import migrations, models

import registry.models.people
import registry.models.tools
import registry.validators


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="Gateway",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "slug",
                    models.CharField(
                        max_length=60,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                            )
                        ],
                    ),
                ),
                (
                    "name",
                    models.CharField(max_length=100, validators=[registry.validators.plain_text]),
                ),
                (
                    "source",
                    models.CharField(
                        blank=True,
                        help_text="The directory whose external ids name people in its requests.",
                        max_length=60,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                            )
                        ],
                    ),
                ),
                ("is_active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["slug"],
            },
        ),
        migrations.CreateModel(
            name="ResourceType",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "slug",
                    models.CharField(
                        max_length=60,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                            )
                        ],
                    ),
                ),
                (
                    "attributes",
                    models.JSONField(
                        blank=True, default=dict, validators=[registry.validators.json_object]
                    ),
                ),
            ],
            options={
                "ordering": ["slug"],
            },
        ),
        migrations.CreateModel(
            name="Slice",
            fields=[
                ("key", models.CharField(max_length=80, primary_key=True, serialize=False)),
                ("revision", models.BigIntegerField(default=1)),
            ],
        ),
        migrations.CreateModel(
            name="Person",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                (
                    "last_login",
                    models.DateTimeField(blank=True, null=True, verbose_name="last login"),
                ),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "pid",
                    models.CharField(
                        default=registry.models.people.new_pid,
                        editable=False,
                        max_length=24,
                        unique=True,
                    ),
                ),
                (
                    "name",
                    models.CharField(max_length=150, validators=[registry.validators.plain_text]),
                ),
                ("email", models.EmailField(max_length=254, unique=True)),
                (
                    "chat_handle",
                    models.CharField(
                        blank=True, max_length=80, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "employment",
                    models.CharField(
                        choices=[
                            ("employed", "employed"),
                            ("leaving", "leaving"),
                            ("left", "left"),
                        ],
                        default="employed",
                        max_length=10,
                    ),
                ),
                ("last_day", models.DateField(blank=True, null=True)),
                (
                    "department",
                    models.CharField(
                        blank=True, max_length=100, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "zone",
                    models.CharField(
                        default="UTC",
                        help_text="IANA name, Europe/Copenhagen",
                        max_length=50,
                        validators=[registry.validators.zone],
                    ),
                ),
                (
                    "attributes",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="What policies may ask: region, cost centre, …",
                        validators=[registry.validators.json_object],
                    ),
                ),
                ("is_staff", models.BooleanField(default=False, verbose_name="may open the admin")),
                ("is_active", models.BooleanField(default=True, verbose_name="may sign in")),
                ("date_joined", models.DateTimeField(auto_now_add=True)),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "manager",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reports",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "people",
                "ordering": ["name", "pk"],
            },
        ),
        migrations.CreateModel(
            name="Agent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "slug",
                    models.CharField(
                        max_length=60,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                            )
                        ],
                    ),
                ),
                (
                    "name",
                    models.CharField(max_length=100, validators=[registry.validators.plain_text]),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("agent", "agent"),
                            ("copilot", "copilot"),
                            ("scheduled_job", "scheduled job"),
                            ("internal_tool", "internal tool"),
                        ],
                        default="agent",
                        max_length=16,
                    ),
                ),
                ("purpose", models.TextField(validators=[registry.validators.plain_text])),
                (
                    "builder",
                    models.CharField(
                        blank=True, max_length=100, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "repository",
                    models.CharField(
                        blank=True, max_length=300, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "runs_at",
                    models.CharField(
                        blank=True, max_length=300, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "model",
                    models.CharField(
                        blank=True, max_length=100, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "prompt_digest",
                    models.CharField(
                        blank=True, max_length=128, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "code_reference",
                    models.CharField(
                        blank=True, max_length=128, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "pattern",
                    models.CharField(
                        choices=[
                            ("service", "service: acts as itself"),
                            ("impersonation", "impersonation: acts as the user who asks"),
                            ("hybrid", "hybrid: reads as itself, writes as the user"),
                        ],
                        default="service",
                        max_length=14,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("in_review", "in review"),
                            ("active", "active"),
                            ("suspended", "suspended"),
                            ("decommissioning", "decommissioning"),
                            ("decommissioned", "decommissioned"),
                        ],
                        default="draft",
                        editable=False,
                        max_length=16,
                    ),
                ),
                ("state_reason", models.CharField(blank=True, editable=False, max_length=500)),
                ("state_changed_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("observe_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("rate_per_minute", models.PositiveIntegerField(blank=True, null=True)),
                ("rate_per_hour", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "spend_cap_minor",
                    models.BigIntegerField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MaxValueValidator(9007199254740991)],
                        verbose_name="spend cap a day, minor units",
                    ),
                ),
                (
                    "currency",
                    models.CharField(
                        default="EUR",
                        max_length=3,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z]{3}\\Z", "Use the three capital letters of ISO 4217: EUR."
                            )
                        ],
                    ),
                ),
                (
                    "lawful_basis",
                    models.CharField(
                        blank=True, max_length=200, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "data_subjects",
                    models.CharField(
                        blank=True, max_length=300, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "recipients",
                    models.CharField(
                        blank=True, max_length=300, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "retention",
                    models.CharField(
                        blank=True, max_length=200, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "data_role",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("controller", "controller"),
                            ("processor", "processor"),
                            ("joint_controller", "joint controller"),
                        ],
                        max_length=18,
                    ),
                ),
                (
                    "ai_act_use",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("minimal", "minimal risk"),
                            ("limited", "limited risk: transparency duties"),
                            ("high", "high risk (Annex III or I)"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "ai_act_role",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("provider", "provider"),
                            ("deployer", "deployer"),
                            ("none", "not in scope"),
                        ],
                        max_length=10,
                    ),
                ),
                ("review_due", models.DateField(blank=True, null=True)),
                ("renewal_due", models.DateField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("activated_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                (
                    "backup_owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="backup_agents",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="owned_agents",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "state_changed_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        help_text="Nobody where Muster did it by itself; the record says which part of it.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["slug"],
            },
        ),
        migrations.CreateModel(
            name="Clearance",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reach_digest", models.CharField(max_length=64)),
                (
                    "tier",
                    models.CharField(
                        choices=[
                            ("public", "public"),
                            ("internal", "internal"),
                            ("confidential", "confidential"),
                            ("restricted", "restricted"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "basis",
                    models.CharField(
                        choices=[
                            ("attestation", "attested by its owner"),
                            ("security", "cleared by security"),
                            ("dpo", "cleared by the data protection officer"),
                            ("bootstrap", "loaded before the first policy was active"),
                        ],
                        max_length=12,
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="clearances",
                        to="registry.agent",
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="clearances",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-at"],
            },
        ),
        migrations.CreateModel(
            name="ExternalIdentity",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        max_length=60,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                            )
                        ],
                    ),
                ),
                (
                    "external_id",
                    models.CharField(max_length=255, validators=[registry.validators.plain_text]),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="identities",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "external identities",
            },
        ),
        migrations.CreateModel(
            name="Client",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("client_id", models.CharField(max_length=64, unique=True)),
                ("secret_digest", models.CharField(blank=True, max_length=64)),
                ("jwks", models.JSONField(blank=True, default=dict)),
                ("version", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("rotated_at", models.DateTimeField(blank=True, null=True)),
                (
                    "agent",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="client",
                        to="registry.agent",
                    ),
                ),
                (
                    "gateway",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="client",
                        to="registry.gateway",
                    ),
                ),
            ],
            options={
                "ordering": ["client_id"],
            },
        ),
        migrations.CreateModel(
            name="HistoricalGateway",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        auto_created=True, blank=True, db_index=True, verbose_name="ID"
                    ),
                ),
                (
                    "slug",
                    models.CharField(
                        db_index=True,
                        max_length=60,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                            )
                        ],
                    ),
                ),
                (
                    "name",
                    models.CharField(max_length=100, validators=[registry.validators.plain_text]),
                ),
                (
                    "source",
                    models.CharField(
                        blank=True,
                        help_text="The directory whose external ids name people in its requests.",
                        max_length=60,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                            )
                        ],
                    ),
                ),
                ("is_active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(blank=True, editable=False)),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical gateway",
                "verbose_name_plural": "historical gateways",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalPerson",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        auto_created=True, blank=True, db_index=True, verbose_name="ID"
                    ),
                ),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "pid",
                    models.CharField(
                        db_index=True,
                        default=registry.models.people.new_pid,
                        editable=False,
                        max_length=24,
                    ),
                ),
                (
                    "name",
                    models.CharField(max_length=150, validators=[registry.validators.plain_text]),
                ),
                ("email", models.EmailField(db_index=True, max_length=254)),
                (
                    "chat_handle",
                    models.CharField(
                        blank=True, max_length=80, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "employment",
                    models.CharField(
                        choices=[
                            ("employed", "employed"),
                            ("leaving", "leaving"),
                            ("left", "left"),
                        ],
                        default="employed",
                        max_length=10,
                    ),
                ),
                ("last_day", models.DateField(blank=True, null=True)),
                (
                    "department",
                    models.CharField(
                        blank=True, max_length=100, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "zone",
                    models.CharField(
                        default="UTC",
                        help_text="IANA name, Europe/Copenhagen",
                        max_length=50,
                        validators=[registry.validators.zone],
                    ),
                ),
                (
                    "attributes",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="What policies may ask: region, cost centre, …",
                        validators=[registry.validators.json_object],
                    ),
                ),
                ("is_staff", models.BooleanField(default=False, verbose_name="may open the admin")),
                ("is_active", models.BooleanField(default=True, verbose_name="may sign in")),
                ("date_joined", models.DateTimeField(blank=True, editable=False)),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "manager",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical person",
                "verbose_name_plural": "historical people",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalResourceType",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        auto_created=True, blank=True, db_index=True, verbose_name="ID"
                    ),
                ),
                (
                    "slug",
                    models.CharField(
                        db_index=True,
                        max_length=60,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                            )
                        ],
                    ),
                ),
                (
                    "attributes",
                    models.JSONField(
                        blank=True, default=dict, validators=[registry.validators.json_object]
                    ),
                ),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical resource type",
                "verbose_name_plural": "historical resource types",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalSystem",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        auto_created=True, blank=True, db_index=True, verbose_name="ID"
                    ),
                ),
                (
                    "slug",
                    models.CharField(
                        db_index=True,
                        max_length=60,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                            )
                        ],
                    ),
                ),
                (
                    "name",
                    models.CharField(max_length=100, validators=[registry.validators.plain_text]),
                ),
                (
                    "description",
                    models.TextField(blank=True, validators=[registry.validators.plain_text]),
                ),
                (
                    "environment",
                    models.CharField(
                        choices=[
                            ("production", "production"),
                            ("staging", "staging"),
                            ("development", "development"),
                        ],
                        default="production",
                        max_length=12,
                    ),
                ),
                (
                    "tier",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("public", "public"),
                            ("internal", "internal"),
                            ("confidential", "confidential"),
                            ("restricted", "restricted"),
                        ],
                        help_text="Without one, the system counts as restricted.",
                        max_length=12,
                    ),
                ),
                (
                    "categories",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            max_length=60,
                            validators=[
                                django.core.validators.RegexValidator(
                                    "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                    "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                                )
                            ],
                        ),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                (
                    "country",
                    models.CharField(
                        blank=True,
                        help_text="ISO 3166 code, such as IE",
                        max_length=2,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z]{2}\\Z",
                                "Use the two capital letters of ISO 3166, such as IE.",
                            )
                        ],
                    ),
                ),
                (
                    "trust",
                    models.CharField(
                        choices=[
                            ("trusted", "trusted: inside the trust boundary"),
                            ("untrusted", "untrusted: hostile until proven otherwise"),
                        ],
                        default="trusted",
                        max_length=10,
                    ),
                ),
                (
                    "personal_resource_ids",
                    models.BooleanField(
                        default=False,
                        help_text="Resource ids are personal (an e-mail, an IBAN): the record keeps only a hash.",
                    ),
                ),
                (
                    "provider",
                    models.CharField(
                        blank=True, max_length=100, validators=[registry.validators.plain_text]
                    ),
                ),
                ("created_at", models.DateTimeField(blank=True, editable=False)),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical system",
                "verbose_name_plural": "historical systems",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="ProposedChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=60)),
                ("target", models.CharField(max_length=255)),
                (
                    "agent",
                    models.CharField(
                        blank=True, help_text="Whose row it concerns, if any", max_length=60
                    ),
                ),
                ("summary", models.CharField(max_length=300)),
                ("before", models.JSONField(blank=True, default=dict)),
                ("after", models.JSONField(blank=True, default=dict)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("proposed", "proposed"),
                            ("agreed", "agreed"),
                            ("rejected", "rejected"),
                            ("withdrawn", "withdrawn"),
                        ],
                        default="proposed",
                        editable=False,
                        max_length=10,
                    ),
                ),
                ("proposed_at", models.DateTimeField()),
                ("reason", models.TextField(blank=True)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("answer", models.TextField(blank=True)),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="decided_changes",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "proposed_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="proposals",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-proposed_at"],
            },
        ),
        migrations.CreateModel(
            name="Reliance",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="dependents",
                        to="registry.agent",
                    ),
                ),
                (
                    "dependent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="relies_on",
                        to="registry.agent",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="relies_on",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ResourceEntity",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "entity_id",
                    models.CharField(max_length=255, validators=[registry.validators.plain_text]),
                ),
                (
                    "attributes",
                    models.JSONField(
                        blank=True, default=dict, validators=[registry.validators.json_object]
                    ),
                ),
                (
                    "type",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="entities",
                        to="registry.resourcetype",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "resource entities",
                "ordering": ["type", "entity_id"],
            },
        ),
        migrations.CreateModel(
            name="RevokedToken",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("jti", models.CharField(max_length=64)),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="revoked_tokens",
                        to="registry.client",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SignInLink",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("expires_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sign_in_links",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="System",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "slug",
                    models.CharField(
                        max_length=60,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                            )
                        ],
                    ),
                ),
                (
                    "name",
                    models.CharField(max_length=100, validators=[registry.validators.plain_text]),
                ),
                (
                    "description",
                    models.TextField(blank=True, validators=[registry.validators.plain_text]),
                ),
                (
                    "environment",
                    models.CharField(
                        choices=[
                            ("production", "production"),
                            ("staging", "staging"),
                            ("development", "development"),
                        ],
                        default="production",
                        max_length=12,
                    ),
                ),
                (
                    "tier",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("public", "public"),
                            ("internal", "internal"),
                            ("confidential", "confidential"),
                            ("restricted", "restricted"),
                        ],
                        help_text="Without one, the system counts as restricted.",
                        max_length=12,
                    ),
                ),
                (
                    "categories",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            max_length=60,
                            validators=[
                                django.core.validators.RegexValidator(
                                    "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                    "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                                )
                            ],
                        ),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                (
                    "country",
                    models.CharField(
                        blank=True,
                        help_text="ISO 3166 code, such as IE",
                        max_length=2,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z]{2}\\Z",
                                "Use the two capital letters of ISO 3166, such as IE.",
                            )
                        ],
                    ),
                ),
                (
                    "trust",
                    models.CharField(
                        choices=[
                            ("trusted", "trusted: inside the trust boundary"),
                            ("untrusted", "untrusted: hostile until proven otherwise"),
                        ],
                        default="trusted",
                        max_length=10,
                    ),
                ),
                (
                    "personal_resource_ids",
                    models.BooleanField(
                        default=False,
                        help_text="Resource ids are personal (an e-mail, an IBAN): the record keeps only a hash.",
                    ),
                ),
                (
                    "provider",
                    models.CharField(
                        blank=True, max_length=100, validators=[registry.validators.plain_text]
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="owned_systems",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["slug"],
            },
        ),
        migrations.CreateModel(
            name="Resource",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(max_length=255, validators=[registry.validators.plain_text]),
                ),
                (
                    "match",
                    models.CharField(
                        choices=[("exact", "exact name"), ("prefix", "every name that starts so")],
                        default="exact",
                        max_length=6,
                    ),
                ),
                (
                    "tier",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("public", "public"),
                            ("internal", "internal"),
                            ("confidential", "confidential"),
                            ("restricted", "restricted"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "categories",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            max_length=60,
                            validators=[
                                django.core.validators.RegexValidator(
                                    "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                    "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                                )
                            ],
                        ),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                (
                    "system",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="resources",
                        to="registry.system",
                    ),
                ),
            ],
            options={
                "ordering": ["system", "name"],
            },
        ),
        migrations.CreateModel(
            name="HistoricalTool",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        auto_created=True, blank=True, db_index=True, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        db_index=True,
                        max_length=120,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Za-z0-9_]+(?:[.:/-][A-Za-z0-9_]+)*\\Z",
                                "Use letters, digits, _ and single . : / - between them, such as crm.update_status.",
                            )
                        ],
                    ),
                ),
                (
                    "title",
                    models.CharField(
                        blank=True, max_length=120, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "description",
                    models.TextField(blank=True, validators=[registry.validators.plain_text]),
                ),
                (
                    "effect",
                    models.CharField(
                        choices=[
                            ("read", "read"),
                            ("write", "write"),
                            ("destructive", "destructive"),
                            ("financial", "financial"),
                            ("permission_grant", "permission grant"),
                            ("external_communication", "external communication"),
                        ],
                        max_length=24,
                    ),
                ),
                (
                    "schema",
                    models.JSONField(
                        blank=True,
                        default=registry.models.tools.empty_schema,
                        help_text="JSON Schema 2020-12",
                        validators=[registry.validators.json_object],
                    ),
                ),
                ("amount_parameter", models.CharField(blank=True, max_length=100)),
                ("currency_parameter", models.CharField(blank=True, max_length=100)),
                ("count_parameter", models.CharField(blank=True, max_length=100)),
                ("recipient_parameter", models.CharField(blank=True, max_length=100)),
                ("resource_parameter", models.CharField(blank=True, max_length=100)),
                (
                    "secret_parameters",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=100),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                (
                    "cost_minor",
                    models.BigIntegerField(
                        default=0,
                        help_text="What one call costs at the most",
                        validators=[django.core.validators.MaxValueValidator(9007199254740991)],
                        verbose_name="cost estimate, minor units",
                    ),
                ),
                (
                    "currency",
                    models.CharField(
                        default="EUR",
                        max_length=3,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z]{3}\\Z", "Use the three capital letters of ISO 4217: EUR."
                            )
                        ],
                    ),
                ),
                (
                    "version",
                    models.PositiveIntegerField(
                        default=1,
                        editable=False,
                        help_text="Rises with every change of what the tool is",
                    ),
                ),
                ("created_at", models.DateTimeField(blank=True, editable=False)),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "system",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.system",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical tool",
                "verbose_name_plural": "historical tools",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalResource",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        auto_created=True, blank=True, db_index=True, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(max_length=255, validators=[registry.validators.plain_text]),
                ),
                (
                    "match",
                    models.CharField(
                        choices=[("exact", "exact name"), ("prefix", "every name that starts so")],
                        default="exact",
                        max_length=6,
                    ),
                ),
                (
                    "tier",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("public", "public"),
                            ("internal", "internal"),
                            ("confidential", "confidential"),
                            ("restricted", "restricted"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "categories",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            max_length=60,
                            validators=[
                                django.core.validators.RegexValidator(
                                    "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                    "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                                )
                            ],
                        ),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "system",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.system",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical resource",
                "verbose_name_plural": "historical resources",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalCredentialReference",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        auto_created=True, blank=True, db_index=True, verbose_name="ID"
                    ),
                ),
                (
                    "reference",
                    models.CharField(
                        db_index=True,
                        help_text="A vault path such as vault://payments/refund-desk",
                        max_length=255,
                    ),
                ),
                (
                    "scope",
                    models.CharField(
                        blank=True, max_length=300, validators=[registry.validators.plain_text]
                    ),
                ),
                ("rotated_on", models.DateField(blank=True, null=True)),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "agent",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.agent",
                    ),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "system",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.system",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical credential reference",
                "verbose_name_plural": "historical credential references",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalAgreement",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        auto_created=True, blank=True, db_index=True, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("baa", "business associate agreement"),
                            ("dpa", "data processing agreement"),
                            ("transfer", "transfer safeguard"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "reference",
                    models.CharField(max_length=200, validators=[registry.validators.plain_text]),
                ),
                ("signed_on", models.DateField()),
                ("expires_on", models.DateField(blank=True, null=True)),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "system",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.system",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical agreement",
                "verbose_name_plural": "historical agreements",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalAgent",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        auto_created=True, blank=True, db_index=True, verbose_name="ID"
                    ),
                ),
                (
                    "slug",
                    models.CharField(
                        db_index=True,
                        max_length=60,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+(?:[-_.][a-z0-9]+)*\\Z",
                                "Use lower-case letters, digits, and single - _ . between them, such as refund-desk.",
                            )
                        ],
                    ),
                ),
                (
                    "name",
                    models.CharField(max_length=100, validators=[registry.validators.plain_text]),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("agent", "agent"),
                            ("copilot", "copilot"),
                            ("scheduled_job", "scheduled job"),
                            ("internal_tool", "internal tool"),
                        ],
                        default="agent",
                        max_length=16,
                    ),
                ),
                ("purpose", models.TextField(validators=[registry.validators.plain_text])),
                (
                    "builder",
                    models.CharField(
                        blank=True, max_length=100, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "repository",
                    models.CharField(
                        blank=True, max_length=300, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "runs_at",
                    models.CharField(
                        blank=True, max_length=300, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "model",
                    models.CharField(
                        blank=True, max_length=100, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "prompt_digest",
                    models.CharField(
                        blank=True, max_length=128, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "code_reference",
                    models.CharField(
                        blank=True, max_length=128, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "pattern",
                    models.CharField(
                        choices=[
                            ("service", "service: acts as itself"),
                            ("impersonation", "impersonation: acts as the user who asks"),
                            ("hybrid", "hybrid: reads as itself, writes as the user"),
                        ],
                        default="service",
                        max_length=14,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("in_review", "in review"),
                            ("active", "active"),
                            ("suspended", "suspended"),
                            ("decommissioning", "decommissioning"),
                            ("decommissioned", "decommissioned"),
                        ],
                        default="draft",
                        editable=False,
                        max_length=16,
                    ),
                ),
                ("state_reason", models.CharField(blank=True, editable=False, max_length=500)),
                ("state_changed_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("observe_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("rate_per_minute", models.PositiveIntegerField(blank=True, null=True)),
                ("rate_per_hour", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "spend_cap_minor",
                    models.BigIntegerField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MaxValueValidator(9007199254740991)],
                        verbose_name="spend cap a day, minor units",
                    ),
                ),
                (
                    "currency",
                    models.CharField(
                        default="EUR",
                        max_length=3,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z]{3}\\Z", "Use the three capital letters of ISO 4217: EUR."
                            )
                        ],
                    ),
                ),
                (
                    "lawful_basis",
                    models.CharField(
                        blank=True, max_length=200, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "data_subjects",
                    models.CharField(
                        blank=True, max_length=300, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "recipients",
                    models.CharField(
                        blank=True, max_length=300, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "retention",
                    models.CharField(
                        blank=True, max_length=200, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "data_role",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("controller", "controller"),
                            ("processor", "processor"),
                            ("joint_controller", "joint controller"),
                        ],
                        max_length=18,
                    ),
                ),
                (
                    "ai_act_use",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("minimal", "minimal risk"),
                            ("limited", "limited risk: transparency duties"),
                            ("high", "high risk (Annex III or I)"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "ai_act_role",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("provider", "provider"),
                            ("deployer", "deployer"),
                            ("none", "not in scope"),
                        ],
                        max_length=10,
                    ),
                ),
                ("review_due", models.DateField(blank=True, null=True)),
                ("renewal_due", models.DateField(blank=True, null=True)),
                ("created_at", models.DateTimeField(blank=True, editable=False)),
                ("activated_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "backup_owner",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "state_changed_by",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        editable=False,
                        help_text="Nobody where Muster did it by itself; the record says which part of it.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "model_provider",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        help_text="The system that the model runs at: data flows there.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.system",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical agent",
                "verbose_name_plural": "historical agents",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="CredentialReference",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "reference",
                    models.CharField(
                        help_text="A vault path such as vault://payments/refund-desk",
                        max_length=255,
                        unique=True,
                    ),
                ),
                (
                    "scope",
                    models.CharField(
                        blank=True, max_length=300, validators=[registry.validators.plain_text]
                    ),
                ),
                ("rotated_on", models.DateField(blank=True, null=True)),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="credentials",
                        to="registry.agent",
                    ),
                ),
                (
                    "system",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credentials",
                        to="registry.system",
                    ),
                ),
            ],
            options={
                "ordering": ["agent", "reference"],
            },
        ),
        migrations.CreateModel(
            name="Agreement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("baa", "business associate agreement"),
                            ("dpa", "data processing agreement"),
                            ("transfer", "transfer safeguard"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "reference",
                    models.CharField(max_length=200, validators=[registry.validators.plain_text]),
                ),
                ("signed_on", models.DateField()),
                ("expires_on", models.DateField(blank=True, null=True)),
                (
                    "system",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="agreements",
                        to="registry.system",
                    ),
                ),
            ],
            options={
                "ordering": ["system", "kind", "-signed_on"],
            },
        ),
        migrations.AddField(
            model_name="agent",
            name="model_provider",
            field=models.ForeignKey(
                blank=True,
                help_text="The system that the model runs at: data flows there.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="agents_by_model",
                to="registry.system",
            ),
        ),
        migrations.CreateModel(
            name="SystemPermission",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "content_object",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="registry.system"
                    ),
                ),
                (
                    "permission",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="auth.permission"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Tool",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=120,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Za-z0-9_]+(?:[.:/-][A-Za-z0-9_]+)*\\Z",
                                "Use letters, digits, _ and single . : / - between them, such as crm.update_status.",
                            )
                        ],
                    ),
                ),
                (
                    "title",
                    models.CharField(
                        blank=True, max_length=120, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "description",
                    models.TextField(blank=True, validators=[registry.validators.plain_text]),
                ),
                (
                    "effect",
                    models.CharField(
                        choices=[
                            ("read", "read"),
                            ("write", "write"),
                            ("destructive", "destructive"),
                            ("financial", "financial"),
                            ("permission_grant", "permission grant"),
                            ("external_communication", "external communication"),
                        ],
                        max_length=24,
                    ),
                ),
                (
                    "schema",
                    models.JSONField(
                        blank=True,
                        default=registry.models.tools.empty_schema,
                        help_text="JSON Schema 2020-12",
                        validators=[registry.validators.json_object],
                    ),
                ),
                ("amount_parameter", models.CharField(blank=True, max_length=100)),
                ("currency_parameter", models.CharField(blank=True, max_length=100)),
                ("count_parameter", models.CharField(blank=True, max_length=100)),
                ("recipient_parameter", models.CharField(blank=True, max_length=100)),
                ("resource_parameter", models.CharField(blank=True, max_length=100)),
                (
                    "secret_parameters",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=100),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                (
                    "cost_minor",
                    models.BigIntegerField(
                        default=0,
                        help_text="What one call costs at the most",
                        validators=[django.core.validators.MaxValueValidator(9007199254740991)],
                        verbose_name="cost estimate, minor units",
                    ),
                ),
                (
                    "currency",
                    models.CharField(
                        default="EUR",
                        max_length=3,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z]{3}\\Z", "Use the three capital letters of ISO 4217: EUR."
                            )
                        ],
                    ),
                ),
                (
                    "version",
                    models.PositiveIntegerField(
                        default=1,
                        editable=False,
                        help_text="Rises with every change of what the tool is",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "system",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="tools",
                        to="registry.system",
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="HistoricalAllowlistEntry",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        auto_created=True, blank=True, db_index=True, verbose_name="ID"
                    ),
                ),
                (
                    "narrowing",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="A JSON Schema that the parameters must meet besides the tool's own.",
                        validators=[registry.validators.json_object],
                    ),
                ),
                ("rate_per_minute", models.PositiveIntegerField(blank=True, null=True)),
                ("rate_per_hour", models.PositiveIntegerField(blank=True, null=True)),
                ("write_quota_per_hour", models.PositiveIntegerField(blank=True, null=True)),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "agent",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.agent",
                    ),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "tool",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.tool",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical allowlist entry",
                "verbose_name_plural": "historical allowlist entries",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="AllowlistEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "narrowing",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="A JSON Schema that the parameters must meet besides the tool's own.",
                        validators=[registry.validators.json_object],
                    ),
                ),
                ("rate_per_minute", models.PositiveIntegerField(blank=True, null=True)),
                ("rate_per_hour", models.PositiveIntegerField(blank=True, null=True)),
                ("write_quota_per_hour", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="allowlist",
                        to="registry.agent",
                    ),
                ),
                (
                    "tool",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="allowlisted",
                        to="registry.tool",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "allowlist entries",
                "ordering": ["agent", "tool"],
            },
        ),
        migrations.CreateModel(
            name="ToolAccess",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "resource",
                    models.CharField(
                        blank=True, max_length=255, validators=[registry.validators.plain_text]
                    ),
                ),
                (
                    "direction",
                    models.CharField(
                        choices=[("reads", "reads"), ("writes", "writes")], max_length=6
                    ),
                ),
                (
                    "system",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="accesses",
                        to="registry.system",
                    ),
                ),
                (
                    "tool",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="accesses",
                        to="registry.tool",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "tool accesses",
                "ordering": ["tool", "direction", "system", "resource"],
            },
        ),
        migrations.CreateModel(
            name="UnregisteredCaller",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "claimed",
                    models.CharField(help_text="The name that it gave, if any", max_length=120),
                ),
                ("source", models.CharField(help_text="Network address or gateway", max_length=64)),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
                ("count", models.BigIntegerField(default=1)),
                ("last_recorded", models.DateTimeField(blank=True, null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "open"), ("adopted", "adopted"), ("blocked", "blocked")],
                        default="open",
                        editable=False,
                        max_length=8,
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "adopted_as",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="adopted_callers",
                        to="registry.agent",
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "gateway",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="unknown_callers",
                        to="registry.gateway",
                    ),
                ),
            ],
            options={
                "ordering": ["-last_seen"],
            },
        ),
        migrations.CreateModel(
            name="UsedAssertion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("jti", models.CharField(max_length=255)),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="used_assertions",
                        to="registry.client",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="person",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Lower("email"), name="person_email_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="person",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("employment", "employed"), ("last_day__isnull", False), _connector="OR"
                ),
                name="person_leaver_has_last_day",
                violation_error_message="Someone who is leaving or has left needs a last day.",
            ),
        ),
        migrations.AddConstraint(
            model_name="person",
            constraint=models.CheckConstraint(
                condition=models.Q(("is_superuser", False)),
                name="person_no_superuser",
                violation_error_message="Muster knows no superuser: rights come from groups.",
            ),
        ),
        migrations.AddIndex(
            model_name="clearance",
            index=models.Index(fields=["agent", "reach_digest"], name="clearance_by_reach"),
        ),
        migrations.AddConstraint(
            model_name="externalidentity",
            constraint=models.UniqueConstraint(
                fields=("source", "external_id"), name="external_id_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="client",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("agent__isnull", False), ("gateway__isnull", True)),
                    models.Q(("agent__isnull", True), ("gateway__isnull", False)),
                    _connector="OR",
                ),
                name="client_of_one",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposedchange",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "agreed"), _negated=True),
                    models.Q(("decided_by", models.F("proposed_by")), _negated=True),
                    _connector="OR",
                ),
                name="change_agreed_by_another",
                violation_error_message="Nobody agrees to their own proposal.",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposedchange",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_at__isnull", True),
                        ("decided_by__isnull", True),
                        ("state", "proposed"),
                    ),
                    models.Q(
                        models.Q(("state", "proposed"), _negated=True),
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="change_decided_by_whom_and_when",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposedchange",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "proposed")),
                fields=("kind", "target"),
                name="change_one_open_per_target",
            ),
        ),
        migrations.AddConstraint(
            model_name="reliance",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("dependent__isnull", True), ("person__isnull", False)),
                    models.Q(("dependent__isnull", False), ("person__isnull", True)),
                    _connector="OR",
                ),
                name="reliance_has_one_dependent",
            ),
        ),
        migrations.AddConstraint(
            model_name="reliance",
            constraint=models.UniqueConstraint(
                fields=("agent", "person"), name="reliance_person_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="reliance",
            constraint=models.UniqueConstraint(
                fields=("agent", "dependent"), name="reliance_agent_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="resourceentity",
            constraint=models.UniqueConstraint(
                fields=("type", "entity_id"), name="resource_entity_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="revokedtoken",
            constraint=models.UniqueConstraint(
                fields=("client", "jti"), name="revoked_token_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="resource",
            constraint=models.UniqueConstraint(
                fields=("system", "name", "match"), name="resource_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="agreement",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("expires_on__isnull", True),
                    ("expires_on__gte", models.F("signed_on")),
                    _connector="OR",
                ),
                name="agreement_ends_after_start",
            ),
        ),
        migrations.AddConstraint(
            model_name="agent",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Upper("slug"), name="agent_slug_unique_by_case"
            ),
        ),
        migrations.AddConstraint(
            model_name="agent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state__in", ["active", "suspended"]), _negated=True),
                    models.Q(
                        ("rate_per_hour__isnull", False),
                        ("rate_per_minute__isnull", False),
                        ("spend_cap_minor__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="agent_live_has_limits",
                violation_error_message="An agent without rate limits and a spend cap cannot go live.",
            ),
        ),
        migrations.AddConstraint(
            model_name="agent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("rate_per_minute__isnull", True),
                        ("rate_per_minute__gte", 1),
                        _connector="OR",
                    ),
                    models.Q(
                        ("rate_per_hour__isnull", True), ("rate_per_hour__gte", 1), _connector="OR"
                    ),
                    models.Q(
                        ("spend_cap_minor__isnull", True),
                        ("spend_cap_minor__gte", 0),
                        _connector="OR",
                    ),
                ),
                name="agent_limits_sensible",
            ),
        ),
        migrations.AddConstraint(
            model_name="agent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("backup_owner__isnull", True),
                    models.Q(("backup_owner", models.F("owner")), _negated=True),
                    _connector="OR",
                ),
                name="agent_backup_is_another",
                violation_error_message="The backup owner must be another person.",
            ),
        ),
        migrations.AddConstraint(
            model_name="agent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state__in", ["active", "suspended"]), _negated=True),
                    ("activated_at__isnull", False),
                    _connector="OR",
                ),
                name="agent_live_was_activated",
            ),
        ),
        migrations.AlterUniqueTogether(
            name="systempermission",
            unique_together={("user", "permission", "content_object")},
        ),
        migrations.AddConstraint(
            model_name="tool",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Upper("name"), name="tool_name_unique_by_case"
            ),
        ),
        migrations.AddConstraint(
            model_name="tool",
            constraint=models.CheckConstraint(
                condition=models.Q(("cost_minor__gte", 0)), name="tool_cost_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="allowlistentry",
            constraint=models.UniqueConstraint(
                fields=("agent", "tool"), name="allowlist_entry_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="toolaccess",
            constraint=models.UniqueConstraint(
                fields=("tool", "system", "resource", "direction"), name="tool_access_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="unregisteredcaller",
            constraint=models.UniqueConstraint(fields=("claimed", "source"), name="caller_unique"),
        ),
        migrations.AddConstraint(
            model_name="unregisteredcaller",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_at__isnull", True),
                        ("decided_by__isnull", True),
                        ("state", "open"),
                    ),
                    models.Q(
                        models.Q(("state", "open"), _negated=True),
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="caller_decided_by_whom_and_when",
            ),
        ),
        migrations.AddConstraint(
            model_name="unregisteredcaller",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("adopted_as__isnull", False), ("state", "adopted")),
                    models.Q(
                        models.Q(("state", "adopted"), _negated=True), ("adopted_as__isnull", True)
                    ),
                    _connector="OR",
                ),
                name="caller_adopted_as_an_agent",
            ),
        ),
        migrations.AddConstraint(
            model_name="usedassertion",
            constraint=models.UniqueConstraint(
                fields=("client", "jti"), name="used_assertion_unique"
            ),
        ),
    ]
