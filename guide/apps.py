"""The guide as a Django app: there for ``manage.py train_guide`` alone."""

from __future__ import annotations

from django.apps import AppConfig


class GuideConfig(AppConfig):
    name = "guide"
