"""Getting models from the Hugging Face hub, and finding those that are here. Never asks the hub but in fetch_model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from backends.exceptions import BackendMisconfigured, BackendUnavailable, ModelNotFound

if TYPE_CHECKING:
    import httpx2

FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja"]
UNNEEDED_FILES = ["*/*", "consolidated*.safetensors"]
"""Other formats of the same weights, which large models keep in folders, and Mistral's second copy."""

CONNECT_SECONDS = 5
SILENCE_SECONDS = 15
"""How long the hub may say nothing, before the download and within it."""

_PATH = re.compile(r"[./~\\]")


def is_path(model: str) -> bool:
    """Whether this names a folder rather than a model of the hub (``gpt2``, ``owner/name``)."""
    return bool(_PATH.match(model))


def find_model(model: str, revision: str | None = None) -> Path:
    """Return the folder on this machine with this model's files. Asks nobody else.

    A folder of that name, relative to the current one, goes before a model of the hub, as in transformers.

    Raises:
        ModelNotFound: the model is not on this machine.
        BackendMisconfigured: it is, but incomplete or in a format that could run code.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if is_path(model):
            raise ModelNotFound(f"There is no folder {model!r}.", hint="Correct the backend's option 'model'.")
        folder = _find_in_cache(model, revision)
    _check_files(folder, model)
    return folder.resolve()


def fetch_model(model: str, revision: str | None = None) -> Path:
    """Download what this model needs, with a progress bar on stderr, and return its folder.

    Files that are here already are not downloaded again, and a download that broke off goes on where it was.

    Raises:
        ModelNotFound: the hub has no such model, or it is not for everybody.
        BackendUnavailable: the hub cannot be reached, or fell silent; known within about 20 seconds.
        BackendMisconfigured: the model has no weights in the safetensors format.
    """
    # 0.3 s, and nothing but this and the engine needs it.
    import httpx2
    from huggingface_hub import close_session, constants, set_client_factory, snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    set_client_factory(_create_client)
    try:
        folder = Path(
            snapshot_download(
                model,
                revision=revision,
                allow_patterns=FILES,
                ignore_patterns=UNNEEDED_FILES,
                etag_timeout=CONNECT_SECONDS,
            )
        )
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        raise ModelNotFound(
            f"The hub at {constants.ENDPOINT} has no model {model!r} for us.",
            hint="Check its name and revision; for one that needs permission, set HF_TOKEN.",
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx2.HTTPError, OSError) as error:
        raise BackendUnavailable(
            f"{model!r} could not be fetched from {constants.ENDPOINT}: {_first_line(error)}",
            hint="Check the connection, or set HF_ENDPOINT to a mirror, or copy the model's folder to this machine.",
        ) from error
    finally:
        close_session()
    _check_files(folder, model)
    return folder


def _create_client() -> httpx2.Client:
    """Return the hub's usual client, but one that gives up on a silent hub."""
    import httpx2
    from huggingface_hub.utils._http import default_client_factory

    limits = httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS).as_dict()

    def never_wait_for_ever(request: httpx2.Request) -> None:
        asked = request.extensions.get("timeout", {})
        request.extensions["timeout"] = {kind: asked.get(kind) or limit for kind, limit in limits.items()}

    client: httpx2.Client = default_client_factory()
    # Some of the hub's calls ask for no limit at all, so a client with one would not do.
    client.event_hooks["request"].append(never_wait_for_ever)
    return client


def _find_in_cache(model: str, revision: str | None) -> Path:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, "config.json", revision=revision)
    except HFValidationError as error:
        raise ModelNotFound(
            f"{model!r} is no name of a model.", hint="Correct the backend's option 'model'."
        ) from error
    if not isinstance(found, str):
        at = f" at revision {revision!r}" if revision else ""
        raise ModelNotFound(f"The model {model!r}{at} is not on this machine.", hint=_fetch_hint(model))
    return Path(found).parent


def _check_files(folder: Path, model: str) -> None:
    if not (folder / "config.json").is_file():
        raise BackendMisconfigured(f"{model!r} holds no model: it has no config.json.")
    index = folder / "model.safetensors.index.json"
    shards = set(json.loads(index.read_text())["weight_map"].values()) if index.is_file() else {"model.safetensors"}
    missing = sorted(shard for shard in shards if not (folder / shard).is_file())
    if missing == ["model.safetensors"]:
        raise BackendMisconfigured(
            f"{model!r} has no weights in the safetensors format.",
            hint="Other formats can run code when they are read. Choose a model with safetensors, or convert it; "
            "if its download broke off, fetch it again.",
        )
    if missing:
        raise BackendMisconfigured(f"{model!r} is incomplete: {', '.join(missing)} missing.", hint=_fetch_hint(model))


def _fetch_hint(model: str) -> str:
    return f"Run: python manage.py fetch_model {model}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
