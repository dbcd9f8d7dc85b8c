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
    organising,
    page,
    preferences,
    search,
    sharing,
    streams,
    transfer,
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
    path("conversations/", organising.conversations, name="conversations"),
    path("conversations/change/", organising.change, name="change"),
    path("folders/", organising.folders, name="folders"),
    path("folders/<int:folder>/", organising.folder, name="folder"),
    path("folders/<int:folder>/delete/", organising.remove_folder, name="folder_delete"),
    path("c/<uuid:pk>/", page.conversation, name="conversation"),
    path("c/<uuid:pk>/events/", streams.conversation_events, name="events"),
    path("c/<uuid:pk>/rename/", conversations.rename, name="rename"),
    path("c/<uuid:pk>/delete/", conversations.delete, name="delete"),
    path("c/<uuid:pk>/export/", transfer.export, name="export"),
    path("c/<uuid:pk>/share/", sharing.share, name="share"),
    path("c/<uuid:pk>/share/<int:share>/renew/", sharing.renew, name="share_renew"),
    path("c/<uuid:pk>/share/<int:share>/revoke/", sharing.revoke, name="share_revoke"),
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
    path("s/<str:token>/", sharing.shared, name="shared"),
    path("shared/", sharing.shared_links, name="shared_links"),
    path("data/", transfer.data, name="data"),
    path("data/export/", transfer.export_all, name="export_all"),
    path("data/import/", transfer.upload, name="upload"),
    path("data/import/<int:batch>/", transfer.import_report, name="import"),
    path("data/import/<int:batch>/run/", transfer.import_run, name="import_run"),
    path("data/import/<int:batch>/undo/", transfer.import_undo, name="import_undo"),
    path("data/import/<int:batch>/discard/", transfer.import_discard, name="import_discard"),
]
