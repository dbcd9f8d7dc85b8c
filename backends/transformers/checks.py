"""What can be wrong with the options of a local model, and with the settings of the engine service."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Error

from backends.transformers.address import PathTooLong, TcpAddress, parse_address
from backends.transformers.place import ServicePlace
from backends.transformers.protocol import EngineOptions, GenerateRequest

DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
DTYPES = ("auto", "float32", "float16", "bfloat16")

Range = tuple[Callable[[Any], bool], str]

ENGINE_RANGES: dict[str, Range] = {
    "context_window": (lambda value: value is None or value >= 16, "a number of tokens from 16 on"),
    "threads": (lambda value: value is None or value >= 1, "a number from 1 on"),
    "slots": (lambda value: value >= 1, "a number from 1 on"),
    "max_waiting": (lambda value: value >= 0, "a number from 0 on"),
    "prefix_cache_mb": (lambda value: value >= 0, "a number of MiB from 0 on"),
    "load_timeout": (lambda value: value > 0, "a number of seconds above 0"),
    "idle_unload": (lambda value: value is None or value > 0, "a number of seconds above 0, or None for never"),
}
REQUEST_RANGES: dict[str, Range] = {
    "temperature": (lambda value: 0 <= value <= 2, "a number from 0 (greedy) to 2"),
    "top_p": (lambda value: 0 < value <= 1, "a number above 0 and up to 1"),
    "top_k": (lambda value: value >= 0, "a number from 0 (all) on"),
    "repetition_penalty": (lambda value: value > 0, "a number above 0; 1 is none"),
    "max_output_tokens": (lambda value: value >= 1, "a number from 1 on"),
}


def check_options(name: str, engine: EngineOptions, request: GenerateRequest) -> Iterator[CheckMessage]:
    """Yield what is wrong with a backend of this name, by what it would ask of an engine."""
    if not DEVICE.fullmatch(engine.device):
        hint = "Use 'auto', 'cpu', 'cuda', 'cuda:1', … or 'mps'."
        yield _error(f"{name} has an unknown device {engine.device!r}.", hint, "backends.E009")
    if engine.dtype not in DTYPES:
        hint = f"Use one of {', '.join(map(repr, DTYPES))}."
        yield _error(f"{name} has an unknown dtype {engine.dtype!r}.", hint, "backends.E009")
    for options, ranges in ((engine, ENGINE_RANGES), (request, REQUEST_RANGES)):
        for option, (is_right, wanted) in ranges.items():
            value = getattr(options, option)
            if not _holds(is_right, value):
                yield _error(f"{name} has {option}={value!r}, out of range.", f"Use {wanted}.", "backends.E009")


def check_model(name: str, model: str, folder: str | None) -> Iterator[CheckMessage]:
    """Yield what is wrong with the model, or ``folder`` where it is one, and with what it takes to run it."""
    if not model:
        yield _error(f"{name} has an empty model.", "Name a folder or a model of the hub.", "backends.E010")
    elif folder is not None and not Path(folder).expanduser().is_dir():
        hint = "The model is a folder with config.json and model.safetensors, or a name such as 'gpt2'."
        yield _error(f"{name} has a model that is no folder: {model}.", hint, "backends.E011")
    if missing := [package for package in ("torch", "transformers") if find_spec(package) is None]:
        hint = "Install the site with its local models: pip install -r requirements.txt."
        yield _error(f"{name} needs packages that are not installed: {', '.join(missing)}.", hint, "backends.E012")


def check_place(name: str, place: ServicePlace) -> Iterator[CheckMessage]:
    """Yield what is wrong with where the engine service is said to be."""
    try:
        address = parse_address(place.address)
    except PathTooLong as error:
        hint = "Set CHAT_ENGINE_ADDRESS to a shorter one, such as unix:/run/chatsite/engine.sock."
        yield _error(f"{name} has an engine address that is too long. {error}", hint, "backends.E015")
    except ValueError as error:
        hint = "Set CHAT_ENGINE_ADDRESS, or the option 'engine', to one of these."
        yield _error(f"{name} has a wrong engine address: {error}", hint, "backends.E013")
    else:
        if isinstance(address, TcpAddress) and not place.token:
            hint = "Set CHAT_ENGINE_TOKEN to the same long random text on both sides."
            yield _error(f"{name} has an engine service at a TCP address and no token.", hint, "backends.E014")
    if not _holds(lambda most: most >= 1, place.max_models):
        hint = "Use a number from 1 on."
        yield _error(
            f"{name} may load no model: CHAT_ENGINE_MAX_MODELS is {place.max_models!r}.", hint, "backends.E016"
        )


def _holds(is_right: Callable[[Any], bool], value: Any) -> bool:
    try:
        return is_right(value)
    except TypeError:  # not even a number
        return False


def _error(message: str, hint: str, check_id: str) -> Error:
    return Error(f"The backend {message}", hint=hint, id=check_id)
