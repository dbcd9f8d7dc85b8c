"""Who may give which rights: nobody gives, to themselves or others, what they do not have."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet

from chat.models import User


def permissions_of(person: User) -> QuerySet[Permission]:
    """Return all that the person may do, by themselves or by a group; also what somebody deactivated could again."""
    if person.is_superuser:
        return Permission.objects.all()
    by = Q(pk__in=person.user_permissions.values("pk")) | Q(group__in=person.groups.all())
    return Permission.objects.filter(by).distinct()


def grantable_permissions(actor: User) -> QuerySet[Permission]:
    """Return the permissions that this administrator may give to people and groups."""
    return permissions_of(actor).select_related("content_type").order_by("content_type__app_label", "codename")


def grantable_groups(actor: User) -> QuerySet[Group]:
    """Return the groups whose members this administrator may choose: they bring no right that they lack."""
    if actor.is_superuser:
        return Group.objects.all()
    beyond = Permission.objects.exclude(pk__in=permissions_of(actor).values("pk"))
    return Group.objects.exclude(pk__in=Group.objects.filter(permissions__in=beyond).values("pk"))


def is_above(actor: User, person: User) -> bool:
    """Tell whether the administrator may change this person.

    Not somebody with a right that they lack: whoever can change an address or a password can sign in as its owner.
    """
    if actor.is_superuser or actor.pk == person.pk:
        return True
    if person.is_superuser:
        return False
    return not permissions_of(person).exclude(pk__in=permissions_of(actor).values("pk")).exists()
