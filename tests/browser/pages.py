"""Every page of the site and every state of it that a person can bring about: one line each.

What holds for all of them is tested in tests/browser/test_every_page.py and tests/browser/test_everyone.py. Who adds a
page, menu or dialog adds a line here.
"""

from __future__ import annotations

from tests.browser import states
from tests.browser.states import Show, at, of, shown

CHAT_PAGES: dict[str, Show] = {
    # messages
    "empty": at("/"),
    "answered": of("answered"),
    "streaming": states.streaming,
    "waiting": states.waiting,
    "failed": of("failed"),
    "all endings": of("ended"),
    "without an answer": of("unanswered"),
    "emptied": of("emptied"),
    "everything in an answer": states.rich,
    "edited in place": states.edited,
    "answer menu": states.message_menu("assistant"),
    "question menu": states.message_menu("user"),
    "details dialog": states.message_dialog("details"),
    "again dialog": states.message_dialog("again"),
    "delete message dialog": states.message_dialog("delete"),
    "feedback in place": states.feedback,
    "earlier turns": of("long"),
    "in the middle": of("in the middle"),
    "other branch": of("other branch"),
    # the field
    "parameters": states.parameters,
    "parameters refused": states.parameters_refused,
    "too long": states.too_long,
    "without a network": states.without_network,
    "not sent": states.not_sent,
    "assistant menu": states.assistant_menu,
    # the sidebar
    "drawer": states.drawer,
    "account menu": states.account_menu,
    "views menu": states.views_menu,
    "folder in the sidebar": states.sidebar_list("folder"),
    "archive in the sidebar": states.sidebar_list("archived"),
    "deleted in the sidebar": states.sidebar_list("deleted"),
    "folder dialog": states.folder_dialog,
    "selecting": states.selecting,
    "row menu": states.row_menu,
    "move dialog": states.move_dialog,
    "undo": states.toast("toast({ text: 'The conversation was deleted.', action: 'restore', conversations: [] })"),
    "not done": states.toast("complain('This did not work. Try again.')"),
    "conversation menu": states.conversation_menu,
    "rename dialog": states.conversation_dialog("rename"),
    # over the page
    "shortcuts": states.shortcuts,
    "search dialog": states.search_dialog(""),
    "found in the dialog": states.search_dialog("bold"),
    "nothing found in the dialog": states.search_dialog("zzzz"),
    "share dialog": states.share_dialog,
    "announced": states.announced,
}
"""In columns that lie beside each other on a desktop and over each other on a phone."""
PLAIN_PAGES: dict[str, Show] = {
    # of the chat without scripts
    "search": at("/search/?q=bold"),
    "nothing found": at("/search/?q=zzzz"),
    "rename": of("answered", "rename/"),
    "delete": of("answered", "delete/"),
    "edit": states.below_message("edit", "user"),
    "details": states.below_message("details"),
    "again": states.below_message("regenerate"),
    "feedback": states.below_message("feedback", of="ended"),
    "feedback, not given": states.below_message("feedback", of="rich"),
    "delete message": states.below_message("delete", "user"),
    "refused": states.refused,
    "list": at("/conversations/"),
    "list of the archive": at("/conversations/?view=archived"),
    "list of what was deleted": at("/conversations/?view=deleted"),
    "list of a folder": of("folder list"),
    "folders": at("/folders/"),
    "folder": of("folder"),
    "delete a folder": of("folder", "delete/"),
    # taking along
    "share": of("rich", "share/"),
    "shared links": at("/shared/"),
    "your data": at("/data/"),
    "upload refused": states.upload_refused,
    "import": of("import"),
    "imported": of("imported"),
    "downloaded file": shown("file"),
    # people
    "settings": at("/settings/"),
    "sign out elsewhere": at("/settings/sign-out-elsewhere/"),
    "wrong password": states.wrong_password,
    "change password": at("/accounts/password/change/"),
    "e-mail": at("/accounts/email/"),
    "sign out": at("/accounts/logout/"),
    # the site
    "offline": at("/offline/"),
    "set-up": shown("setup"),
    "set-up is over": at("/setup/forged/"),
    "400": shown("400"),
    "403": shown("403"),
    "403 csrf": states.csrf_refused,
    "404": at("/nothing/"),
    "500": shown("500"),
    "503": shown("503"),
    "503 with what was typed": shown("503-typed"),
}
"""Of one column, which is the same everywhere."""
NEWCOMER_PAGES: dict[str, Show] = {
    "first visit": states.at("/"),
    "first drawer": lambda visit: (visit.go("/"), visit.open_drawer()),
    "no data yet": at("/data/"),
    "no links yet": at("/shared/"),
}
PUBLIC_PAGES: dict[str, Show] = {
    "sign in": at("/accounts/login/"),
    "forgotten password": at("/accounts/password/reset/"),
    "forgotten password, sent": at("/accounts/password/reset/done/"),
    "password link": at("/accounts/password/reset/key/1-forged/"),
    "inactive": at("/accounts/inactive/"),
    "shared": of("shared"),
    "no longer shared": of("revoked"),
}
ADMIN_PAGES: dict[str, Show] = {
    "admin": at("/admin/"),
    "admin assistants": at("/admin/chat/assistant/"),
    "admin assistant": states.admin_form("assistant"),
    "admin new assistant": at("/admin/chat/assistant/add/"),
    "admin conversations": at("/admin/chat/conversation/"),
    "admin conversation": states.admin_form("conversation"),
    "admin generations": at("/admin/chat/generation/"),
    "admin generation": states.admin_form("generation"),
    "admin feedback": at("/admin/chat/feedback/"),
    "admin one feedback": states.admin_form("feedback"),
    "admin links": at("/admin/chat/share/"),
    "admin link": states.admin_form("share"),
    "admin people": at("/admin/chat/user/"),
    "admin person": states.admin_form("user"),
    "admin new person": at("/admin/chat/user/add/"),
    "admin password": at("/admin/password_change/"),
    "admin retention": at("/admin/retention/"),
    "admin rules of retention": at("/admin/chat/retentionrule/"),
    "admin new rule of retention": at("/admin/chat/retentionrule/add/"),
    "admin holds": at("/admin/chat/legalhold/"),
    "admin new hold": at("/admin/chat/legalhold/add/"),
    "admin audit log": at("/admin/chat/auditentry/"),
    "admin banners": at("/admin/chat/banner/"),
    "admin new banner": at("/admin/chat/banner/add/"),
    "admin preview of a banner": states.banner_preview,
    "admin flags": at("/admin/chat/moderationflag/"),
    "admin rules of moderation": at("/admin/chat/moderationrule/"),
    "admin new rule of moderation": at("/admin/chat/moderationrule/add/"),
}
PAGES = {**CHAT_PAGES, **PLAIN_PAGES, **NEWCOMER_PAGES, **PUBLIC_PAGES}
