from __future__ import annotations

from django.apps import AppConfig


class LocalModelsConfig(AppConfig):
    """Brings the commands of local models; it has no tables."""

    name = "backends.transformers"
    label = "local_models"
    verbose_name = "Local models"
