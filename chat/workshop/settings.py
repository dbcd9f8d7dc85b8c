"""What of an assistant decides how it answers: the part that is tried out, rehearsed and applied."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from backends import ChatMessage, ChatRequest
from chat.models import Assistant
from chat.parameters import PARAMETERS

DECIDING = ("backend", "model", "system_prompt", *PARAMETERS, "stop", "input_price", "output_price")
"""Names of the fields. The others say who the assistant is, and who may use it."""
_PRICES = ("input_price", "output_price")


def deciding(assistant: Assistant) -> dict[str, Any]:
    """Return these fields of an assistant, as JSON can hold them."""
    values = {name: getattr(assistant, name) for name in DECIDING}
    return values | {name: str(values[name]) for name in _PRICES}


def apply_to(assistant: Assistant, values: dict[str, Any]) -> None:
    """Give the assistant these values, and leave the rest of it as it is; stores nothing."""
    for name in DECIDING:
        if name in values:
            value = values[name]
            setattr(assistant, name, Decimal(value) if name in _PRICES else value)


def made_of(values: dict[str, Any], name: str = "") -> Assistant:
    """Return an assistant that answers with these values and is stored nowhere."""
    assistant = Assistant(name=name)
    apply_to(assistant, values)
    return assistant


def cost(assistant: Assistant, input_tokens: int, output_tokens: int) -> Decimal:
    """Return what so many tokens cost at the prices that are tried, whatever the stored assistant costs."""
    return (assistant.input_price * input_tokens + assistant.output_price * output_tokens) / 1_000_000


def request_of(assistant: Assistant, said: Sequence[ChatMessage], most_tokens: int, user: str) -> ChatRequest:
    """Return what its backend is asked to answer what was said, in no more than so many tokens."""
    parameters = assistant.parameters({})
    system = parameters.pop("system_prompt", "")
    longest = min(parameters.pop("max_output_tokens", most_tokens), most_tokens)
    parameters["stop"] = tuple(parameters.get("stop", ()))
    before = [ChatMessage("system", system)] if system else []
    return ChatRequest(
        messages=(*before, *said), model=assistant.model, user=user, max_output_tokens=longest, **parameters
    )
