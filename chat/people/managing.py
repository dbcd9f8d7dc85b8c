"""What administrators do with people: let in, shut out, sign out, put into groups.

There is always somebody left who can administrate the site.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from allauth.account.forms import ResetPasswordForm
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest

from chat import audit, events
from chat.audit import Target
from chat.generation import end_answers_of_the_deactivated
from chat.models import Generation, User


class LastAdministratorError(Exception):
    """Nobody would be left who can administrate the site."""


def administrators() -> QuerySet[User]:
    """Return those who may do everything in the admin."""
    return User.objects.filter(is_active=True, is_staff=True, is_superuser=True)


def is_last_administrator(person: User) -> bool:
    """Tell whether there would be no administrator without this person."""
    return list(administrators().values_list("pk", flat=True)[:2]) == [person.pk]


def keep_an_administrator(*, without: Collection[int]) -> None:
    """Do nothing where there are administrators besides these; in the transaction of what takes the others away.

    Two that take each other away at the same moment go one after the other.

    Raises:
        LastAdministratorError: there are none.
    """
    present = set(administrators().select_for_update().order_by("pk").values_list("pk", flat=True))
    if present and present <= set(without):
        raise LastAdministratorError


def deactivate(person: User, actor: User) -> list[int]:
    """Shut the person out: sessions, open streams and their unfinished answers end now; all that is theirs is kept.

    Returns the ids of the answers that were unfinished. Harmless when repeated.

    Raises:
        LastAdministratorError: nobody else can administrate the site.
    """
    with transaction.atomic():
        keep_an_administrator(without=[person.pk])
        shut = User.objects.filter(pk=person.pk, is_active=True)
        if shut.update(is_active=False, sessions_ended=F("sessions_ended") + 1) != 1:
            return []
        audit.append("person.deactivated", actor, target_of(person))
        return shut_out(person)


def shut_out(person: User) -> list[int]:
    """End what somebody who is no longer active still has going on here; return the ids of their answers.

    Other processes end the streams that they serve within seconds.
    """
    unfinished = Generation.objects.unfinished().filter(message__conversation__owner=person)
    answers = list(unfinished.values_list("pk", flat=True))
    end_answers_of_the_deactivated()
    transaction.on_commit(events.end_revoked_streams)
    return answers


def reactivate(person: User, actor: User) -> bool:
    """Let the person sign in again; False if they could all along."""
    with transaction.atomic():
        if User.objects.filter(pk=person.pk, is_active=False).update(is_active=True) != 1:
            return False
        audit.append("person.reactivated", actor, target_of(person))
    return True


def end_sessions(person: User, actor: User) -> bool:
    """Sign the person out everywhere; their answers go on, and they can sign in again. False if they are gone."""
    with transaction.atomic():
        if User.objects.filter(pk=person.pk).update(sessions_ended=F("sessions_ended") + 1) != 1:
            return False
        audit.append("person.signed_out", actor, target_of(person))
        transaction.on_commit(events.end_revoked_streams)
    return True


def join(people: Iterable[User], group: Group, actor: User) -> int:
    """Make the people members of the group; return how many were none."""
    return _move(people, group, actor, joins=True)


def leave(people: Iterable[User], group: Group, actor: User) -> int:
    """Take the people out of the group; return how many were members."""
    return _move(people, group, actor, joins=False)


def _move(people: Iterable[User], group: Group, actor: User, *, joins: bool) -> int:
    with transaction.atomic():
        members = set(group.user_set.values_list("pk", flat=True))
        moved = [person for person in people if (person.pk in members) != joins]
        if joins:
            group.user_set.add(*moved)
        else:
            group.user_set.remove(*moved)
        for person in moved:
            audit.append("person.joined" if joins else "person.left", actor, target_of(person), group=group.name)
    return len(moved)


def send_password_link(request: HttpRequest, person: User, actor: User) -> bool:
    """Send the person a mail with a link to choose a password; False for who has no address, or is not active.

    Raises:
        OSError: the mail could not be sent.
    """
    form = ResetPasswordForm({"email": person.email})
    if not person.is_active or not form.is_valid():
        return False
    form.users = [person]  # not everybody who once gave this address
    form.save(request)
    audit.append("person.password_link", actor, target_of(person))
    return True


def target_of(person: User) -> Target:
    return Target(kind="user", id=str(person.pk), name=person.username)
