"""What Alice has on the site, so that each page has something to show: ``python -m tests.browser.stock alice``.

Prints the addresses of all of it, and the pages that only a broken or a new site shows, as JSON.
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chat.models import Conversation, Message, User

from tests.browser.workshop import rehearse

CHATGPT = Path(__file__).parent.parent / "chat" / "exports" / "chatgpt.json"
LONG = 120
"""Messages of a conversation that does not fit on one page."""
RICH = """## What the answer has

Some **bold** text, *more*, ~~less~~, `code`, a [link](https://example.org) and a footnote of <b>text</b>.

```python
def add(a: int, b: int) -> int:
    return a + b  # one line that is far too long for a phone, so that the box around it has to scroll sideways
```

```diff
- before
+ after
```

The cost is $O(n^2)$, and a formula that is drawn on a line of its own:

$$\\int_0^1 x^2 \\, dx = \\frac{1}{3}, \\qquad \\sum_{k=0}^{n} \\binom{n}{k} = 2^n$$

What is wrong stays as it is: $\\frac{1}{$

- [x] Read
- [ ] Write

| Case | Time | What one would have to know about it, in many words |
|:-----|-----:|-----------------------------------------------------|
| best | 1.5  | It happens when all that is looked for comes first.  |
| 최악 | 20   | 모든 것을 끝까지 읽어야 하는 경우입니다.               |

```mermaid
graph LR
  A[Start] --> B{Is it so?}
  B -->|yes| C[End]
```

> Quoted, and then:
>
> 1. one
> 2. two

![A cat](https://images.example/cat.png)
"""
ENDINGS = [
    # How answers end, each with the notice that says so: status, finish_reason, error_code, text.
    ("completed", "stop", "", "한국어로 쓴 답입니다."),
    ("incomplete", "length", "", "This was cut off where the greatest length was"),
    ("cancelled", "", "", "This was cancelled by"),
    ("cancelled", "", "", ""),
    ("failed", "", "rate_limited", ""),
    ("failed", "", "backend_unavailable", "The beginning"),
    ("failed", "", "authentication_failed", ""),
    ("incomplete", "content_filter", "", ""),
]


def furnish(owner: User) -> dict[str, str]:
    """Store something of everything; return where each of it is seen."""
    long = _conversation(owner, "A long conversation", [f"Message {number}." for number in range(LONG)])
    rich = _conversation(owner, "Everything an answer can have", ["Show me everything.", RICH])
    asked = _conversation(owner, "A question without an answer", ["Is anybody there?"])
    emptied = _conversation(owner, "Nothing is left", [])
    addresses = {"long": long, "rich": rich, "unanswered": asked, "emptied": emptied, "ended": _ended(owner)}
    return {
        **{name: conversation.get_absolute_url() for name, conversation in addresses.items()},
        "in the middle": f"{long.get_absolute_url()}?message={long.messages.all()[LONG // 2].pk}",
        "other branch": _branched(owner),
        **_organise(owner),
        **_share(rich),
        **_import(owner),
        **rehearse(owner),
        **_meet_others(owner, rich),
    }


def _conversation(owner: User, title: str, texts: list[str]) -> Conversation:
    """Store a conversation in which people and the assistant take turns."""
    from chat import search
    from chat.models import Assistant, Conversation

    assistant = Assistant.objects.get(slug="scripted")
    conversation = Conversation.objects.create(owner=owner, title=title, assistant=assistant)
    parent = None
    for number, text in enumerate(texts):
        parent = _say(conversation, parent, text, is_answer=number % 2 == 1)
    conversation.leaf = parent
    conversation.save()
    search.add_missing(list(conversation.messages.values_list("pk", flat=True)))
    return conversation


def _say(conversation: Conversation, parent: Message | None, text: str, *, is_answer: bool, **how: object) -> Message:
    from django.utils import timezone

    from chat.models import Generation, Message

    role = "assistant" if is_answer else "user"
    message = Message.objects.create(conversation=conversation, parent=parent, role=role, content=text)
    if is_answer:
        now = timezone.now()
        assistant = conversation.assistant
        values = {
            "assistant": assistant,
            "assistant_name": assistant.name if assistant else "",
            "backend": "scripted",
            "status": "completed",
            "finish_reason": "stop",
            "input_tokens": 1200,
            "output_tokens": 340,
            "cost": "0.0042",
            "parameters": {"temperature": 0.7, "max_output_tokens": 500},
            **dict.fromkeys(("queued_at", "started_at", "first_delta_at", "finished_at"), now),
        }
        Generation.objects.create(message=message, **{**values, **how})
    return message


def _ended(owner: User) -> Conversation:
    """One conversation with all the ways in which answers end."""
    from chat.models import Conversation, Feedback

    conversation = _conversation(owner, "Endings", [])
    parent = None
    for status, reason, code, text in ENDINGS:
        asked = _say(conversation, parent, f"What is it like to be {status} {reason or code}?", is_answer=False)
        how = {"status": status, "finish_reason": reason, "error_code": code, "error_detail": code and "Said so."}
        parent = _say(conversation, asked, text, is_answer=True, **how)
    first = conversation.messages.filter(role="assistant").order_by("pk")[0]
    Feedback.objects.create(message=first, person=owner, value=-1, reasons=["incorrect"], comment="It is not so.")
    Conversation.objects.filter(pk=conversation.pk).update(leaf=parent)
    return conversation


def _branched(owner: User) -> str:
    """The address of a version that is not the one that the page shows."""
    conversation = _conversation(owner, "Two versions", ["One question?", "One answer."])
    first = conversation.messages.all()[0]
    other = _say(conversation, first, "Another answer, which is not shown.", is_answer=True)
    return f"{conversation.get_absolute_url()}?message={other.pk}"


def _organise(owner: User) -> dict[str, str]:
    from chat.models import Conversation, Folder
    from chat.retention.deleting import delete_conversations

    # The site may be shown by another file of tests, too.
    folder, _ = Folder.objects.get_or_create(owner=owner, name="Work on the site", defaults={"colour": "blue"})
    Folder.objects.get_or_create(owner=owner, name="여행", defaults={"colour": "purple"})
    titles = [
        "Pinned above all",
        "In a folder, with a title longer than any row",
        "Put away",
        "Gone",
    ]
    made = [_conversation(owner, title, ["Hello", "Hello."]).pk for title in titles]
    changes = [{"is_pinned": True}, {"folder": folder}, {"is_archived": True}]
    for pk, change in zip(made, changes, strict=False):
        Conversation.objects.filter(pk=pk).update(**change)
    delete_conversations(owner, made[3:])
    return {"folder": f"/folders/{folder.pk}/", "folder list": f"/conversations/?view=folder-{folder.pk}"}


def _share(conversation: Conversation) -> dict[str, str]:
    from datetime import timedelta

    from chat import sharing

    lasting = sharing.share_conversation(conversation, timedelta(days=7))
    revoked = sharing.share_conversation(conversation, None)
    sharing.revoke(revoked)
    return {"shared": lasting.get_absolute_url(), "revoked": revoked.get_absolute_url()}


def _import(owner: User) -> dict[str, str]:
    from chat.transfer.importing import import_some
    from chat.transfer.reports import read_upload

    done = read_upload(owner, io.BytesIO(CHATGPT.read_bytes()), "chatgpt.json")
    import_some(done, 60)
    waiting = read_upload(owner, io.BytesIO(CHATGPT.read_bytes()), "chatgpt.json")
    return {"imported": done.get_absolute_url(), "import": waiting.get_absolute_url()}


def _meet_others(owner: User, read: Conversation) -> dict[str, str]:
    """Somebody else, whose conversation an administrator might read, as they read one of the owner's."""
    from datetime import timedelta

    from django.contrib.auth.models import Group

    from chat.models import Invitation, User
    from chat.people import invitations, reading

    other, _ = User.objects.get_or_create(username="robin", defaults={"email": "robin@example.org"})
    theirs = _conversation(other, "Something private", ["Is this private?", "Yes."])
    reading.open_transcript(read, other, reason="You asked us to look at this answer.", ticket="T-1")
    group, _ = Group.objects.get_or_create(name="Editors")
    other.groups.add(group)
    offer = invitations.Offer(groups=[group], uses=1000, lasts=timedelta(days=7), note="For tests")
    made = invitations.invite(offer, owner)
    invitations.revoke(invitations.invite(invitations.Offer(lasts=timedelta(days=1)), owner).invitation, owner)
    Invitation.objects.filter(pk=made.invitation.pk).update(used=1)
    return {
        "admin reason": f"/admin/chat/conversation/{theirs.pk}/open/",
        "admin group": f"/admin/auth/group/{group.pk}/change/",
        "invitation": f"/invitation/{made.token}/",
    }


def render_rare(rich: Conversation) -> dict[str, str]:
    """Return the pages that only a broken or a new site shows, and the file of a conversation, as this site would."""
    from django.template.loader import render_to_string
    from django.test import RequestFactory

    from chat.forms import OwnerForm
    from chat.transfer.collecting import carried
    from chat.transfer.documents import as_html

    request = RequestFactory().get("/")
    return {
        **{name: render_to_string(f"{name}.html") for name in ("400", "403", "404", "500", "503")},
        "503-typed": render_to_string("503.html", {"typed": {"content": "Hello"}}, request),
        "setup": render_to_string("chat/setup.html", {"form": OwnerForm()}, request),
        "file": as_html(carried(rich)),
    }


def main() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.browser.settings")
    django.setup()
    from bench import office
    from chat.models import Assistant, Conversation, User

    owner = User.objects.get(username=sys.argv[1])
    allowed = {"adjustable": ["temperature", "top_p", "max_output_tokens", "seed"], "temperature": 0.7}
    Assistant.objects.filter(slug="echo").update(**allowed)
    addresses = furnish(owner)
    office.furnish()
    rich = Conversation.objects.get(pk=addresses["rich"].split("/")[2])
    print(json.dumps({"addresses": addresses, "rendered": render_rare(rich)}))


if __name__ == "__main__":
    main()
