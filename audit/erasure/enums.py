"""The grounds on which data is kept that somebody wants erased."""

from django.db.models import TextChoices


class Ground(TextChoices):
    """The letters of Art. 17(3) GDPR, in words of ours."""

    EXPRESSION = "a", "17(3)(a): freedom of expression and information"
    LEGAL_DUTY = "b", "17(3)(b): a law asks for it, or a public task"
    PUBLIC_HEALTH = "c", "17(3)(c): public health"
    ARCHIVE = "d", "17(3)(d): archives, research, statistics"
    CLAIMS = "e", "17(3)(e): legal claims"
