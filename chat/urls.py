"""The paths of the chat pages."""

from __future__ import annotations

from django.urls import path

from chat import health, views

app_name = "chat"

urlpatterns = [
    path("", views.home, name="home"),
    path("healthz", health.healthz, name="healthz"),
    path("events/", views.user_events, name="user_events"),
    path("setup/<str:token>/", views.setup, name="setup"),
    path("c/<uuid:pk>/", views.conversation, name="conversation"),
    path("c/<uuid:pk>/events/", views.conversation_events, name="events"),
    path("c/<uuid:pk>/rename/", views.rename, name="rename"),
    path("c/<uuid:pk>/delete/", views.delete, name="delete"),
    path("c/<uuid:pk>/export/", views.export, name="export"),
    path("c/<uuid:pk>/messages/", views.messages, name="messages"),
    path("c/<uuid:pk>/messages/<int:message>/", views.turn, name="turn"),
    path("c/<uuid:pk>/messages/<int:message>/edit/", views.edit, name="edit"),
    path("c/<uuid:pk>/messages/<int:message>/regenerate/", views.regenerate_answer, name="regenerate"),
    path("c/<uuid:pk>/messages/<int:message>/continue/", views.continue_answer, name="continue"),
    path("c/<uuid:pk>/messages/<int:message>/cancel/", views.cancel, name="cancel"),
    path("c/<uuid:pk>/messages/<int:message>/show/", views.show, name="show"),
]
