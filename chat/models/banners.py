"""What administrators announce on the pages."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from chat.models.people import User


class Level(models.TextChoices):
    INFO = "info", _("information")
    WARN = "warn", _("warning")
    DANGER = "danger", _("danger")


class Audience(models.TextChoices):
    EVERYBODY = "everybody", _("everybody who is signed in")
    PUBLIC = "public", _("everybody, signed in or not")
    GROUPS = "groups", _("members of groups")
    STAFF = "staff", _("administrators")


class Banner(models.Model):
    """An announcement at the top of the pages, for some people, for some time."""

    text = models.TextField(
        _("text"),
        max_length=1_000,
        help_text=_("One or a few short sentences. **Bold**, *italics*, `code` and [links](https://…) can be used."),
    )
    level = models.CharField(_("level"), max_length=10, choices=Level, default=Level.INFO)
    audience = models.CharField(_("for whom"), max_length=10, choices=Audience, default=Audience.EVERYBODY)
    groups = models.ManyToManyField(
        Group, blank=True, verbose_name=_("groups"), help_text=_("Of these, where it is for members of groups.")
    )
    starts_at = models.DateTimeField(_("from"), null=True, blank=True, help_text=_("Empty: from now on."))
    ends_at = models.DateTimeField(_("until"), null=True, blank=True, help_text=_("Empty: until it is deleted."))
    is_dismissible = models.BooleanField(
        _("can be dismissed"),
        default=True,
        help_text=_("People can close it. They see it again when its text changes."),
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    """Grows when it says something else: who dismissed it sees it again."""

    class Meta:
        ordering = ["pk"]
        verbose_name = _("banner")
        verbose_name_plural = _("banners")

    def __str__(self) -> str:
        return self.text[:80]

    def clean(self) -> None:
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            raise ValidationError({"ends_at": _("It ends before it begins.")})


class BannerDismissal(models.Model):
    """Somebody closed a banner, as it was then."""

    person = models.ForeignKey(User, models.CASCADE, related_name="+")
    banner = models.ForeignKey(Banner, models.CASCADE, related_name="dismissals")
    version = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "banner"], name="one_dismissal")]

    def __str__(self) -> str:
        return f"{self.banner_id}.{self.version}"
