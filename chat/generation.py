"""The life of an answer as rows: started, continued, cancelled, ended.

Each verb says what holds afterwards. Every change of status is a conditional update: of two that happen at the same
moment, one wins. Verbs that move the shown branch hold the conversation meanwhile. docs/races.md has all outcomes.
``chat.writing`` lets a backend write the answer in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from backends import Stage, Usage
from chat import events, pieces, quotas, search, usage
from chat.conversations import hold, publish_conversation
from chat.models import Assistant, Conversation, Generation, Message, Role, Status, TitleFrom, User
from chat.operation import cooling, draining
from chat.parameters import Values
from chat.refusals import (
    AssistantGoneError,
    ConversationBusyError,
    KeyReusedError,
    NotContinuableError,
    RefusedError,
    SiteBusyError,
    TooManyUnfinishedError,
)
from chat.titles import first_words


class LostGenerationError(Exception):
    """The row is no longer ours: cancelled, reaped or deleted meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a user sends: a text for an assistant, with the key that makes sending it twice harmless."""

    content: str
    assistant: Assistant
    key: UUID
    parameters: Values = field(default_factory=dict)
    """All that its owner changed of the assistants' parameters in this conversation, which remembers them."""


def start_conversation(owner: User, question: Question) -> Generation:
    """Make a conversation of which this is the first message; the answer is queued.

    Sending the same question again, by a double click or a retry, returns the generation that it has.

    Raises:
        KeyReusedError: the key belongs to another text.
        TooManyUnfinishedError: so many of the owner's answers are unfinished that there may be no more.
        AssistantGoneError: it was deleted meanwhile.
    """

    def store() -> Generation:
        _check_room(owner.pk)
        title = {"title": first_words(question.content), "title_from": TitleFrom.WORDS}
        conversation = Conversation.objects.create(owner=owner, assistant=question.assistant, **title)
        return _store_question(conversation, None, question)

    return _once(owner, question, store)


def start_generation(conversation: Conversation, question: Question) -> Generation:
    """Store the message after the newest one of the shown branch and queue the answer to it.

    Sending the same question again returns the generation that it has.

    Raises:
        ConversationBusyError: the newest answer is not over yet, or another request was quicker.
        ConversationGoneError: it was deleted meanwhile.
        KeyReusedError, TooManyUnfinishedError, AssistantGoneError: as above.
    """
    return _ask(conversation, conversation.leaf_id, question)


def edit_question(message: Message, question: Question) -> Generation:
    """Store the question in its new words beside the old one, as a branch that is shown from now on; queue the answer.

    Sending the same words again returns the generation that they have.

    Raises:
        ConversationBusyError: the newest answer of the shown branch is not over yet, or another request was quicker.
        MessageGoneError: the question was deleted meanwhile.
        ConversationGoneError, KeyReusedError, TooManyUnfinishedError, AssistantGoneError: as above.
    """
    return _ask(message.conversation, message.parent_id, question, message)


def regenerate(message: Message, assistant: Assistant, parameters: Values | None = None) -> Generation:
    """Queue another answer to the same question, as a new branch that is shown from now on; the old one is kept.

    The message is an answer, or a question that has none any more. Without ``parameters``, with those that the
    conversation remembers.

    Raises:
        ConversationBusyError: this answer or the newest one of the shown branch is not over yet, or another request was
            quicker.
        MessageGoneError: the message was deleted meanwhile.
        ConversationGoneError, TooManyUnfinishedError, AssistantGoneError: as above.
    """
    conversation = message.conversation
    try:
        with transaction.atomic():
            _check_room(conversation.owner_id)
            hold(conversation, message)
            question = message if message.role == Role.USER else message.parent
            answer = Message.objects.create(conversation=conversation, parent=question, role=Role.ASSISTANT)
            changed = conversation.parameters if parameters is None else parameters
            generation = _queue(answer, assistant, changed)
            _reserve(generation, conversation.owner, assistant)
            _show(conversation, answer, assistant, changed)
    except IntegrityError as error:
        _explain(error, assistant)
        raise
    return generation


def continue_generation(message: Message) -> Generation:
    """Queue an answer that was cut again: the backend goes on where its text ends.

    Status and text are those of one answer all along, so that readers need no rule of their own for it; tokens and cost
    of the parts add up.

    Raises:
        ConversationBusyError: the answer is being written, continued by somebody else a moment ago, for instance.
        NotContinuableError: it was not cut, has no text, or is not the newest message of the shown branch.
        ConversationGoneError, TooManyUnfinishedError: as above.
    """
    conversation = message.conversation
    generation = message.generation
    if generation.is_running:
        raise ConversationBusyError
    if not is_continuable(message) or conversation.leaf_id != message.pk:
        raise NotContinuableError
    fresh: dict[str, Any] = {
        "status": Status.QUEUED,
        "queued_at": timezone.now(),
        "started_at": None,
        "finished_at": None,
        "heartbeat_at": None,
        "worker": "",
        "stage": "",
        "finish_reason": "",
        "error_code": "",
        "error_detail": "",
        "retry_at": None,
    }
    with transaction.atomic():
        _check_room(conversation.owner_id)
        hold(conversation)
        if Generation.objects.filter(pk=message.pk, status=generation.status).update(**fresh) != 1:
            raise ConversationBusyError
        draining.check_open(generation.backend)
        cooling.check_cool(generation.backend)
        generation.refresh_from_db()
        if generation.assistant:
            _reserve(generation, conversation.owner, generation.assistant)
        transaction.on_commit(lambda: _publish_continued(message))
    return generation


def is_continuable(message: Message) -> bool:
    """Tell whether the message is an answer that was cut in its middle."""
    generation: Generation | None = getattr(message, "generation", None)
    if generation is None or not message.content or generation.is_imported:
        return False  # what wrote an imported answer is not here to go on
    cut = generation.status == Status.INCOMPLETE and generation.finish_reason != "content_filter"
    return cut or generation.status in {Status.CANCELLED, Status.FAILED}


def cancel_generation(generation: Generation) -> bool:
    """End the answer with what is stored of it; False if it was over already.

    Whoever runs it sees at the next write that the row is no longer theirs, and closes the backend's stream.
    """
    return end_generation(generation, Status.CANCELLED)


def end_answers_of_the_deactivated() -> int:
    """End what is being written for people who may not sign in any more; return how many answers there were.

    The text so far is kept. Whoever writes them sees at the next look that the rows are no longer theirs.
    """
    left = Generation.objects.unfinished().filter(message__conversation__owner__is_active=False)
    return sum(end_generation(generation, Status.CANCELLED, finish_reason="deactivated") for generation in left)


def stage_event(generation: Generation, stage: Stage) -> events.Message:
    """Return what readers hear of why there is no text yet."""
    data = {
        "message": generation.pk,
        "stage": stage.name,
        "position": stage.position,
        "progress": stage.progress,
    }
    return events.Message(events.conversation_channel(generation.message.conversation_id), "generation.stage", data)


def end_generation(
    generation: Generation,
    status: Status,
    *,
    unless_renewed: bool = False,
    used: Usage | None = None,
    replaced_by: str = "",
    **values: Any,
) -> bool:
    """Give the generation its last status, put its text in one piece, write down what it used and tell the readers.

    With ``replaced_by`` these words take the place of its text, which is gone.
    False if it had a last status already, or with ``unless_renewed`` if its worker gave a sign of life meanwhile.
    """
    unfinished = Generation.objects.unfinished().filter(pk=generation.pk)
    if generation.status == Status.IN_PROGRESS:
        # This run: if it was ended and continued meanwhile, the next one is not the caller's to end.
        unfinished = unfinished.filter(started_at=generation.started_at)
    if unless_renewed:
        unfinished = unfinished.filter(heartbeat_at=generation.heartbeat_at)
    cost = None
    if used:
        cost = usage.cost_of(generation, used)
        values |= _used(used, cost)
    with transaction.atomic():
        if unfinished.update(status=status, finished_at=timezone.now(), **values) != 1:
            return False
        pieces.fold([generation.pk])
        # Before somebody can delete it.
        related = ("conversation__owner", "generation__assistant")
        message = Message.objects.select_related(*related).get(pk=generation.pk)
        usage.record(message, used, cost)
        if replaced_by:
            # By what it was written down, above: what was withheld was used.
            Message.objects.filter(pk=message.pk).update(content=replaced_by)
            message.content = replaced_by
        search.add_messages([message])
        transaction.on_commit(lambda: _publish_finished(message, is_replaced=bool(replaced_by)))
        # Last, and apart: of a hundred answers that fail together each waits for the one row.
        transaction.on_commit(partial(cooling.note_end, message.generation))
    return True


def _used(used: Usage, cost: Decimal) -> dict[str, Any]:
    """Return what the row says of it; what an answer that was continued took before comes on top."""
    return {
        "input_tokens": Coalesce(F("input_tokens"), Value(0)) + used.input_tokens,
        "output_tokens": Coalesce(F("output_tokens"), Value(0)) + used.output_tokens,
        "cost": F("cost") + cost,
    }


def _reserve(generation: Generation, owner: User, assistant: Assistant) -> None:
    """Set aside what the answer may take.

    Raises:
        QuotaExceededError: nothing is left of what its owner may use.
    """
    quotas.reserve(generation.pk, owner, assistant, partial(usage.bound, generation, assistant))


def _publish_finished(message: Message, *, is_replaced: bool) -> None:
    ended = message.generation
    data = {
        "message": message.pk,
        "status": ended.status,
        "finish_reason": ended.finish_reason,
        "error": ended.error_code,
        "length": len(message.content),
        "replaced": is_replaced,
        "usage": {"input_tokens": ended.input_tokens, "output_tokens": ended.output_tokens},
    }
    events.publish(events.conversation_channel(message.conversation_id), "message.finished", data)
    publish_conversation(message.conversation)


def _publish_continued(message: Message) -> None:
    data = {"message": message.pk, "status": Status.QUEUED}
    events.publish(events.conversation_channel(message.conversation_id), "message.continued", data)
    publish_conversation(message.conversation)


def _already_sent(owner: User, question: Question, conversation: Conversation | None) -> Generation | None:
    sent = Message.objects.owned_by(owner).filter(key=question.key).first()
    if sent is None:
        return None
    if sent.content != question.content or (conversation and sent.conversation_id != conversation.pk):
        raise KeyReusedError
    answers = Generation.objects.filter(message__parent=sent).order_by("pk")
    return answers.select_related("message__conversation").first()


def _ask(
    conversation: Conversation, parent: int | None, question: Question, edited: Message | None = None
) -> Generation:
    """Store the question below this message, on a branch that is shown from now on, and queue the answer."""

    def store() -> Generation:
        _check_room(conversation.owner_id)
        hold(conversation, edited)
        return _store_question(conversation, parent, question)

    return _once(conversation.owner, question, store, conversation)


def _once(
    owner: User, question: Question, store: Callable[[], Generation], conversation: Conversation | None = None
) -> Generation:
    """Store the question in one transaction, or return the generation that it has from the first time."""
    try:
        with transaction.atomic():
            return store()
    except (IntegrityError, RefusedError) as error:
        # The same request got there first, a moment ago or long since, and may be why this one is refused.
        if sent := _already_sent(owner, question, conversation):
            return sent
        if isinstance(error, IntegrityError):
            _explain(error, question.assistant)
            # Sent before, and deleted with its conversation since.
            if Message.objects.filter(key=question.key, conversation__owner=owner).exists():
                raise KeyReusedError from error
        raise


def _explain(error: IntegrityError, assistant: Assistant) -> None:
    """Raise what is behind the error, if it is nothing of ours.

    Raises:
        AssistantGoneError: a row would have named an assistant that was deleted meanwhile.
    """
    if not Assistant.objects.filter(pk=assistant.pk).exists():
        raise AssistantGoneError from error


def _store_question(conversation: Conversation, parent: int | None, question: Question) -> Generation:
    message = Message.objects.create(
        conversation=conversation,
        parent_id=parent,
        role=Role.USER,
        content=question.content,
        key=question.key,
    )
    search.add_messages([message])
    if conversation.leaf_id is None:
        search.add_title(conversation, message.pk)
    answer = Message.objects.create(conversation=conversation, parent=message, role=Role.ASSISTANT)
    generation = _queue(answer, question.assistant, question.parameters)
    _reserve(generation, conversation.owner, question.assistant)
    _show(conversation, answer, question.assistant, question.parameters)
    return generation


def _queue(answer: Message, assistant: Assistant, changed: Values) -> Generation:
    draining.check_open(assistant.backend)
    cooling.check_cool(assistant.backend)
    return Generation.objects.create(
        message=answer,
        assistant=assistant,
        assistant_name=assistant.name,
        backend=assistant.backend,
        model=assistant.model,
        parameters=assistant.parameters(changed),
    )


def _check_room(owner_id: int) -> None:
    """Refuse one more answer where there are too many.

    Raises:
        TooManyUnfinishedError: of this person; exactly, because their requests go one after another from here on.
        SiteBusyError: of everybody; requests of several people at the same moment may go past it.
    """
    list(User.objects.select_for_update(no_key=True).filter(pk=owner_id).values_list("pk"))
    unfinished = Generation.objects.unfinished()
    if unfinished.filter(message__conversation__owner=owner_id).count() >= settings.CHAT_MAX_UNFINISHED_PER_USER:
        raise TooManyUnfinishedError
    if unfinished.count() >= settings.CHAT_MAX_UNFINISHED:
        raise SiteBusyError


def _show(conversation: Conversation, answer: Message, assistant: Assistant, changed: Values) -> None:
    """Make the new answer the end of the shown branch; the caller holds the conversation."""
    held = Conversation.objects.filter(pk=conversation.pk)
    held.update(leaf=answer, assistant=assistant, parameters=changed, updated_at=timezone.now())
    conversation.leaf, conversation.parameters = answer, changed
    transaction.on_commit(lambda: _publish_created(conversation, answer))


def _publish_created(conversation: Conversation, answer: Message) -> None:
    channel = events.conversation_channel(conversation.pk)
    newest = [answer.parent, answer] if answer.parent and answer.parent.key else [answer]
    for message in newest:
        data = {
            "message": message.pk,
            "parent": message.parent_id,
            "role": message.role,
            "generation": Status.QUEUED if message.role == Role.ASSISTANT else None,
        }
        events.publish(channel, "message.created", data)
    publish_conversation(conversation)
