"""What people put their conversations in order with."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from chat.models.people import User
from chat.querysets import FolderQuerySet


class Colour(models.TextChoices):
    """The colours that sidebar.css knows, in light and dark."""

    GREY = "grey", _("Grey")
    GREEN = "green", _("Green")
    BLUE = "blue", _("Blue")
    AMBER = "amber", _("Amber")
    RED = "red", _("Red")
    PURPLE = "purple", _("Purple")


class Folder(models.Model):
    """A name under which a person finds some of their conversations; each is in one folder or in none."""

    owner = models.ForeignKey(User, models.CASCADE, related_name="folders", verbose_name=_("owner"))
    name = models.CharField(_("name"), max_length=50)
    colour = models.CharField(_("colour"), max_length=10, choices=Colour, default=Colour.GREY)

    objects = FolderQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="folder_name_once")]
        verbose_name = _("folder")
        verbose_name_plural = _("folders")

    def __str__(self) -> str:
        return self.name
