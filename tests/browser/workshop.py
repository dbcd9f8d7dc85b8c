"""What the pages show that administrators work on assistants with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chat.models import User


def rehearse(owner: User) -> dict[str, str]:
    """Store versions of an assistant, and rehearsals in all their states; return where each is seen."""
    from chat.admin.rehearsals import make
    from chat.models import Assistant, RehearsedAnswer, Side
    from chat.workshop.choosing import of_text, start
    from chat.workshop.comparing import vote
    from chat.workshop.settings import deciding

    scripted = Assistant.objects.get(slug="scripted")
    for prompt in ("You are kind.\nYou answer shortly.", "You are kind.\nYou answer at length.\n그리고 한국어로."):
        scripted.system_prompt = prompt
        scripted.save()
    scripted.system_prompt = ""
    scripted.save()
    candidate = deciding(scripted) | {"system_prompt": "Be brief.", "temperature": 0.2}
    done = make(owner, scripted, candidate, "the edited form of Scripted")
    start(done, of_text("What is it like?\nAnd what does it cost?\n이것은 무엇입니까?"))
    answers = RehearsedAnswer.objects.filter(question__rehearsal=done)
    figures = {"input_tokens": 1200, "output_tokens": 340, "cost": "0.0042", "first_text_ms": 321, "duration_ms": 4567}
    answers.update(status="completed", content="## A title\n\nSome **bold** text, and\n\n- a list\n\n`code`", **figures)
    failed = answers.filter(side=Side.NEW).order_by("-pk")[:1]
    RehearsedAnswer.objects.filter(pk__in=list(failed.values_list("pk", flat=True))).update(
        status="failed", content="", error_code="backend_unavailable", error_detail="Connection refused."
    )
    vote(done.questions.all()[0], owner, "new")
    begun = make(owner, scripted, candidate, "the edited form of Scripted")
    address = "/admin/chat/rehearsal/{}/change/".format
    return {
        "rehearsal": address(done.pk),
        "switch": f"/admin/chat/rehearsal/{done.pk}/switch/",
        "begun rehearsal": address(begun.pk),
        "versions": f"/admin/chat/assistant/{scripted.pk}/versions/",
        "version": f"/admin/chat/assistant/{scripted.pk}/versions/3/",
    }
