"""The closed lists of the register."""

from __future__ import annotations

from django.db.models import TextChoices


class Tier(TextChoices):
    """How sensitive data is; compare by `rank`, never by the word."""

    PUBLIC = "public", "public"
    INTERNAL = "internal", "internal"
    CONFIDENTIAL = "confidential", "confidential"
    RESTRICTED = "restricted", "restricted"

    @property
    def rank(self) -> int:
        """0 for public to 3 for restricted."""
        return list(Tier).index(self)

    @property
    def letter(self) -> str:
        """The one letter that stands for the tier in dense places."""
        return self.value[0].upper()


class Employment(TextChoices):
    EMPLOYED = "employed", "employed"
    LEAVING = "leaving", "leaving"
    LEFT = "left", "left"


class Environment(TextChoices):
    PRODUCTION = "production", "production"
    STAGING = "staging", "staging"
    DEVELOPMENT = "development", "development"


class Trust(TextChoices):
    """Whether what comes from a system may be taken at its word."""

    TRUSTED = "trusted", "trusted: inside the trust boundary"
    UNTRUSTED = "untrusted", "untrusted: hostile until proven otherwise"


class AgreementKind(TextChoices):
    BAA = "baa", "business associate agreement"
    DPA = "dpa", "data processing agreement"
    TRANSFER = "transfer", "transfer safeguard"


class ResourceMatch(TextChoices):
    EXACT = "exact", "exact name"
    PREFIX = "prefix", "every name that starts so"


class ToolEffect(TextChoices):
    READ = "read", "read"
    WRITE = "write", "write"
    DESTRUCTIVE = "destructive", "destructive"
    FINANCIAL = "financial", "financial"
    PERMISSION_GRANT = "permission_grant", "permission grant"
    EXTERNAL_COMMUNICATION = "external_communication", "external communication"


class CombinedEffect(TextChoices):
    """What an agent can do that counts in a toxic combination, beside the data that it reads."""

    PRIVATE_DATA = "private_data", "private data: reads confidential or higher"
    UNTRUSTED_CONTENT = "untrusted_content", "untrusted content: reads what may be hostile"
    WRITE = "write", "write"
    DESTRUCTIVE = "destructive", "destructive"
    FINANCIAL = "financial", "financial"
    PERMISSION_GRANT = "permission_grant", "permission grant"
    EXTERNAL_COMMUNICATION = "external_communication", "external communication"


class OnTaint(TextChoices):
    """What becomes of a call outside the plan once the run has read untrusted input."""

    HOLD = "hold", "ask a human"
    DENY = "deny", "refuse"


class Direction(TextChoices):
    READS = "reads", "reads"
    WRITES = "writes", "writes"


class AgentKind(TextChoices):
    AGENT = "agent", "agent"
    COPILOT = "copilot", "copilot"
    SCHEDULED_JOB = "scheduled_job", "scheduled job"
    INTERNAL_TOOL = "internal_tool", "internal tool"


class IdentityPattern(TextChoices):
    SERVICE = "service", "service: acts as itself"
    IMPERSONATION = "impersonation", "impersonation: acts as the user who asks"
    HYBRID = "hybrid", "hybrid: reads as itself, writes as the user"


class AgentState(TextChoices):
    DRAFT = "draft", "draft"
    IN_REVIEW = "in_review", "in review"
    ACTIVE = "active", "active"
    SUSPENDED = "suspended", "suspended"
    DECOMMISSIONING = "decommissioning", "decommissioning"
    DECOMMISSIONED = "decommissioned", "decommissioned"


class CredentialKind(TextChoices):
    HERE = "here", "stored by Muster"
    ELSEWHERE = "elsewhere", "stored by somebody else"


class CredentialState(TextChoices):
    DECLARED = "declared", "named"
    STORING = "storing", "being stored"
    ACTIVE = "active", "in use"
    REVOKED = "revoked", "revoked"
    DESTROYED = "destroyed", "destroyed"


class CredentialHolder(TextChoices):
    """Whose it is. Only an agent's own may run with the agent."""

    OWN = "own", "the agent's own"
    PERSONAL = "personal", "a person's own account"
    SHARED = "shared", "shared with others"


class DataRole(TextChoices):
    CONTROLLER = "controller", "controller"
    PROCESSOR = "processor", "processor"
    JOINT = "joint_controller", "joint controller"


class AiActRole(TextChoices):
    PROVIDER = "provider", "provider"
    DEPLOYER = "deployer", "deployer"
    NONE = "none", "not in scope"


class AiActUse(TextChoices):
    MINIMAL = "minimal", "minimal risk"
    LIMITED = "limited", "limited risk: transparency duties"
    HIGH = "high", "high risk (Annex III or I)"


class AttributeSource(TextChoices):
    """Who may say what an attribute's value is."""

    LOADED = "loaded", "loaded: from what Muster was given"
    CALLER = "caller", "caller: the asking party may vouch for it"


class CallerState(TextChoices):
    OPEN = "open", "open"
    ADOPTED = "adopted", "adopted"
    BLOCKED = "blocked", "blocked"


class ChangeState(TextChoices):
    PROPOSED = "proposed", "proposed"
    AGREED = "agreed", "agreed"
    REJECTED = "rejected", "rejected"
    WITHDRAWN = "withdrawn", "withdrawn"
    DROPPED = "dropped", "dropped: its agent ended"


class GroupName(TextChoices):
    """Groups with a meaning of their own; the words of `design.md` section 8."""

    SECURITY = "security", "security"
    DPO = "dpo", "data protection officer"
    SOURCE_OWNER = "source_owner", "source owner"
    AUDITOR = "auditor", "auditor"
    PLATFORM_ADMIN = "platform_admin", "platform admin"


class TokenScope(TextChoices):
    """What a command line may do as its person."""

    READ = "read", "Read"
    WRITE = "write", "Read and change"


class DeviceState(TextChoices):
    """What has become of a command line's request to act as somebody."""

    WAITING = "waiting", "Waiting"
    ALLOWED = "allowed", "Allowed"
    REFUSED = "refused", "Refused"
    USED = "used", "Used"
