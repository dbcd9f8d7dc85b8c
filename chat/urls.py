"""The paths of the chat pages."""

from __future__ import annotations

from django.urls import path

from chat import health
from chat.views import (
    accounts,
    answers,
    assistants,
    conversations,
    diagrams,
    feedback,
    installing,
    messages,
    page,
    preferences,
    search,
    streams,
)

app_name = "chat"

urlpatterns = [
    path("", page.home, name="home"),
    path("healthz", health.healthz, name="healthz"),
    path("assistants/health/", assistants.assistants_health, name="assistants_health"),
    path("search/", search.search, name="search"),
    path("diagram/", diagrams.diagram, name="diagram"),
    path("events/", streams.user_events, name="user_events"),
    path("settings/", preferences.preferences, name="preferences"),
    path("settings/sign-out-elsewhere/", preferences.sign_out_elsewhere, name="sign_out_elsewhere"),
    path("manifest.webmanifest", installing.manifest, name="manifest"),
    path("sw.js", installing.service_worker, name="service_worker"),
    path("offline/", installing.offline, name="offline"),
    path("setup/<str:token>/", accounts.setup, name="setup"),
    path("c/<uuid:pk>/", page.conversation, name="conversation"),
    path("c/<uuid:pk>/events/", streams.conversation_events, name="events"),
    path("c/<uuid:pk>/rename/", conversations.rename, name="rename"),
    path("c/<uuid:pk>/delete/", conversations.delete, name="delete"),
    path("c/<uuid:pk>/export/", conversations.export, name="export"),
    path("c/<uuid:pk>/messages/", page.messages, name="messages"),
    path("c/<uuid:pk>/messages/<int:message>/", page.turn, name="turn"),
    path("c/<uuid:pk>/messages/<int:message>/edit/", answers.edit, name="edit"),
    path("c/<uuid:pk>/messages/<int:message>/regenerate/", answers.regenerate_answer, name="regenerate"),
    path("c/<uuid:pk>/messages/<int:message>/continue/", answers.continue_answer, name="continue"),
    path("c/<uuid:pk>/messages/<int:message>/cancel/", answers.cancel, name="cancel"),
    path("c/<uuid:pk>/messages/<int:message>/show/", answers.show, name="show"),
    path("c/<uuid:pk>/messages/<int:message>/fork/", messages.fork, name="fork"),
    path("c/<uuid:pk>/messages/<int:message>/delete/", messages.delete, name="delete_message"),
    path("c/<uuid:pk>/messages/<int:message>/details/", messages.details, name="details"),
    path("c/<uuid:pk>/messages/<int:message>/feedback/", feedback.feedback, name="feedback"),
]
