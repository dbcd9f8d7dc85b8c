"""Settings of the site.

The environment, or a file ``.env`` beside manage.py, is read here and nowhere else. Every setting has a default that
works after a plain clone; docs/settings.md lists them all.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Any

from csp.constants import NONCE, NONE, SELF
from django.utils.translation import gettext_lazy as _
from environs import Env, EnvError

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
_before_the_file = frozenset(os.environ)
env.read_env(BASE_DIR / ".env", recurse=False)

VAR_DIR = Path(env.str("VAR_DIR", str(BASE_DIR / "var")))
"""Where the site keeps what it makes: the SQLite database, the collected static files, the secret key."""
VAR_DIR.mkdir(parents=True, exist_ok=True)


def _stored_secret_key() -> str:
    """Return the key in ``var/secret_key``, made at the first start, so that a clone needs no configuration."""
    path = VAR_DIR / "secret_key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        # Of processes that start together one makes it, and the others may come before it is written.
        for _ in range(100):
            if key := path.read_text().strip():
                return key
            time.sleep(0.01)
        return ""
    with os.fdopen(descriptor, "w") as file:
        key = secrets.token_urlsafe(64)
        file.write(key)
    return key


@env.parser_for("numbers")  # type: ignore[untyped-decorator]
def _numbers(value: str | dict[str, float]) -> dict[str, float]:
    """Return ``a=1,b=2.5`` as a dict."""
    if isinstance(value, dict):  # the default
        return value
    pairs = [item.partition("=") for item in value.split(",") if item.strip()]
    try:
        return {name.strip(): int(number) if number.strip().isdecimal() else float(number) for name, _, number in pairs}
    except ValueError as error:
        raise EnvError(f"{value!r} is not of the form name=number,name=number.") from error


SECRET_KEY: str = env.str("SECRET_KEY", "") or _stored_secret_key()
DEBUG: bool = env.bool("DEBUG", False)
SITE_NAME: str = env.str("SITE_NAME", "chatsite")
"""What the site is called on its pages, in mails and as an installed app."""
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])

INSTALLED_APPS = [
    "chat",
    "backends.transformers",
    "guide",
    "chatsite.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_eventstream",
    "allauth",
    "allauth.account",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "chatsite.middleware.DatabaseOutage",
    "chatsite.middleware.one_thread",
]

ROOT_URLCONF = "chatsite.urls"
ASGI_APPLICATION = "chatsite.asgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "chat.context_processors.banners",
                "chat.context_processors.preferences",
                "chat.context_processors.sharing",
            ],
        },
    },
]

# --- Database -------------------------------------------------------------------------------------------------------

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.dj_db_url(
        "DATABASE_URL", f"sqlite:///{VAR_DIR / 'db.sqlite3'}", conn_max_age=600, conn_health_checks=True
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # A transaction that will write takes the lock when it begins: a later upgrade would fail at once when another
        # writer is there, instead of waiting `timeout` seconds for it.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
elif DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # A page says that the database is away rather than wait for two minutes.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- People ---------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "chat.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "chat:home"
ACCOUNT_ADAPTER = "chat.people.accounts.AccountAdapter"
ACCOUNT_FORMS = {"signup": "chat.people.signup_form.SignupForm"}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_EMAIL_NOTIFICATIONS = False
SESSION_COOKIE_AGE = 60 * 60 * 24 * 30

CHAT_SIGNUP: str = env.str("CHAT_SIGNUP", "")
"""Who may sign up: ``closed``, ``invitation``, ``domain`` or ``open``; empty where administrators choose."""
CHAT_SIGNUP_DOMAINS: list[str] = env.list("CHAT_SIGNUP_DOMAINS", [])
"""Domains of e-mail addresses that let somebody in, where that is not chosen in the admin."""
CHAT_SIGNUP_VERIFY: bool | None = env.bool("CHAT_SIGNUP_VERIFY", None)
"""Whether new people must show that their address is theirs; None where administrators choose."""

EMAIL_CONFIG = env.dj_email_url("EMAIL_URL", "console://")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", "chatsite@localhost")

# --- Languages ------------------------------------------------------------------------------------------------------

LANGUAGE_CODE: str = env.str("LANGUAGE_CODE", "en")
"""For people whose browser asks for none of LANGUAGES; everybody can choose."""
LANGUAGES = [("en", "English"), ("ko", "한국어")]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_AGE = 60 * 60 * 24 * 365
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE: str = env.str("TIME_ZONE", "UTC")
USE_I18N = True
USE_TZ = True

# --- Static files ---------------------------------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "chatsite.staticfiles.NodeModulesFinder",
]
NPM_MODULES = {
    "markdown-it": "npm/markdown-it/dist/browser/markdown-it.esm.min.mjs",
    "remend": "npm/remend/dist/index.js",
    "highlight.js": "npm/@highlightjs/cdn-assets/es/core.min.js",
    "katex": "npm/katex/dist/katex.min.js",
    "katex.css": "npm/katex/dist/katex.min.css",
}
"""The files of frontend/node_modules that browsers may load, by the name that modules import them with."""
HIGHLIGHTED_LANGUAGES = [
    "ada", "apache", "armasm", "asciidoc", "awk", "bash", "c", "clojure", "cmake", "cpp", "csharp", "css", "d",
    "dart", "delphi", "diff", "django", "dockerfile", "elixir", "elm", "erlang", "fortran", "fsharp", "glsl",
    "go", "gradle", "graphql", "groovy", "handlebars", "haskell", "http", "ini", "java", "javascript", "json",
    "julia", "kotlin", "latex", "less", "lisp", "llvm", "lua", "makefile", "markdown", "matlab", "nginx", "nix",
    "objectivec", "ocaml", "perl", "pgsql", "php", "php-template", "plaintext", "powershell", "prolog",
    "properties", "protobuf", "python", "python-repl", "r", "ruby", "rust", "scala", "scheme", "scss", "shell",
    "sql", "swift", "tcl", "twig", "typescript", "vbnet", "verilog", "vhdl", "vim", "wasm", "x86asm", "xml",
    "yaml",
]  # fmt: skip
"""Languages of code that are coloured; each is a file that browsers load when a page has code in it."""
NPM_MODULES |= {
    f"highlight.js/{name}": f"npm/@highlightjs/cdn-assets/es/languages/{name}.min.js" for name in HIGHLIGHTED_LANGUAGES
}
NPM_FILES = ["npm/katex/dist/fonts/*", "npm/mermaid/dist/mermaid.min.js"]
"""More files of frontend/node_modules that are served, by patterns; no module imports them."""
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "chatsite.staticfiles.ManifestStaticFilesStorage"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True

# --- Safety ---------------------------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "frame-src": [SELF],
        "form-action": [SELF],
        "manifest-src": [SELF],
        "worker-src": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True

HTTPS: bool = env.bool("HTTPS", False)
"""Whether people reach the site by https, by a proxy in front of it: switches on all that only works there."""
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = ["^(healthz|readyz)$"]  # who checks the process comes past the proxy
    SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    LANGUAGE_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_SECURE = True
    CSRF_COOKIE_NAME = "__Host-csrftoken"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "chat": {"level": env.str("LOG_LEVEL", "INFO")},
        "backends": {"level": env.str("LOG_LEVEL", "INFO")},
        # It logs every open and closed stream.
        "django_eventstream": {"level": "WARNING"},
    },
}

# --- Chat -----------------------------------------------------------------------------------------------------------

CHAT_BACKENDS: dict[str, dict[str, Any]] = {
    "guide": {
        "BACKEND": "guide.backend.GuideBackend",
        "LABEL": _("Built-in guide"),
        # So small that half precision and a second thread would make it slower.
        "OPTIONS": {
            "model": str(BASE_DIR / "guide" / "model"),
            "device": "cpu",
            "dtype": "float32",
            "threads": 1,
            "temperature": 0.0,
        },
    },
    "gpt2": {
        "BACKEND": "backends.transformers.TransformersBackend",
        "LABEL": "GPT-2",
        "OPTIONS": {
            "model": "gpt2",
            "device": env.str("CHAT_DEVICE", "auto"),
            "max_output_tokens": 200,
            "repetition_penalty": 1.2,
        },
    },
}
OPENAI_API_KEY: str = env.str("OPENAI_API_KEY", "")
OPENAI_BASE_URL: str = env.str("OPENAI_BASE_URL", "https://api.openai.com/v1")
OPENAI_MODEL: str = env.str("OPENAI_MODEL", "gpt-4o-mini")
# A server of one's own (vLLM, Ollama, llama.cpp) often wants no key.
if OPENAI_API_KEY or "OPENAI_BASE_URL" in os.environ:
    CHAT_BACKENDS["openai"] = {
        "BACKEND": "backends.openai.OpenAIBackend",
        "LABEL": "OpenAI",
        "OPTIONS": {"model": OPENAI_MODEL, "api_key": OPENAI_API_KEY, "base_url": OPENAI_BASE_URL},
    }

CHAT_MODERATION_FAILURE: str = env.str("CHAT_MODERATION_FAILURE", "allow")
"""What happens to a text that a moderator cannot look at: ``allow`` or ``refuse``."""
CHAT_MODERATION: dict[str, dict[str, Any]] = {
    # The rules of the admin; without any, nothing is looked for.
    "words": {
        "BACKEND": "chat.moderation.wordlist.AdminWordListModerator",
        "CHECKS": ["question", "answer"],
        "ON_FAILURE": CHAT_MODERATION_FAILURE,
    },
}
if _words := env.str("CHAT_MODERATION_FILE", ""):
    CHAT_MODERATION["file"] = {
        "BACKEND": "backends.moderation.words.WordListModerator",
        "OPTIONS": {"file": _words},
        "CHECKS": ["question", "answer"],
        "ON_FAILURE": CHAT_MODERATION_FAILURE,
    }
if _looked_at := env.list("CHAT_MODERATION_OPENAI", []):
    CHAT_MODERATION["openai"] = {
        "BACKEND": "backends.moderation.openai.OpenAIModerator",
        "OPTIONS": {"api_key": OPENAI_API_KEY, "refuse": env.list("CHAT_MODERATION_OPENAI_REFUSE", [])},
        "CHECKS": _looked_at,
        "ON_FAILURE": CHAT_MODERATION_FAILURE,
    }

CHAT_ENGINE_ADDRESS: str = env.str("CHAT_ENGINE_ADDRESS", f"unix:{VAR_DIR / 'engine.sock'}")
"""Where the engine service listens, which runs the local models for all web processes."""
CHAT_ENGINE_TOKEN: str = env.str("CHAT_ENGINE_TOKEN", "")
"""What web processes show to an engine service at a TCP address."""
CHAT_ENGINE_START: bool = env.bool("CHAT_ENGINE_START", True)
"""Whether a web process starts the service where none listens; it ends with the last of them."""
CHAT_ENGINE_MAX_MODELS: int = env.int("CHAT_ENGINE_MAX_MODELS", 3)
"""Models that the service keeps loaded at once; one more makes the one that was idle longest go."""

CHAT_LIMITS: dict[str, float] = env.numbers("CHAT_LIMITS", {})
"""How long an answer may take and be, where that differs from ``backends.guard.Limits``; LIMITS of an alias win."""
CHAT_MAX_MESSAGE_LENGTH: int = env.int("CHAT_MAX_MESSAGE_LENGTH", 100_000)
"""Characters that one message of a user may have."""
CHAT_HISTORY_MESSAGES: int = env.int("CHAT_HISTORY_MESSAGES", 200)
"""How many of the newest messages of a conversation a backend is given."""
CHAT_PAGE_MESSAGES: int = env.int("CHAT_PAGE_MESSAGES", 50)
"""How many messages a page shows at once."""
CHAT_FLUSH_INTERVAL: float = env.float("CHAT_FLUSH_INTERVAL", 0.05)
"""Seconds between two writes of a draft; each is one event to the browsers."""
CHAT_HEARTBEAT_INTERVAL: float = env.float("CHAT_HEARTBEAT_INTERVAL", 2.0)
"""Seconds between two signs of life of a process for the answers it writes; three missed ones mean that it died."""
CHAT_MAX_RUNNING: int = env.int("CHAT_MAX_RUNNING", 100)
"""Answers that one process writes at once; more wait in the queue."""
CHAT_MAX_UNFINISHED_PER_USER: int = env.int("CHAT_MAX_UNFINISHED_PER_USER", 20)
"""Answers of one person that wait or are being written at once; one more is refused."""
CHAT_MAX_UNFINISHED: int = env.int("CHAT_MAX_UNFINISHED", 2_000)
"""Answers of all people together that wait or are being written at once; one more is refused."""
CHAT_QUOTA_ANSWER_TOKENS: int = env.int("CHAT_QUOTA_ANSWER_TOKENS", 2_048)
"""Tokens that are set aside under a quota for an answer whose assistant has no ``max_output_tokens``, until it ends."""
CHAT_TRIAL_TOKENS: int = env.int("CHAT_TRIAL_TOKENS", 1_000)
"""Tokens that an answer may have when an administrator tries an assistant out in its form."""
CHAT_TRIAL_SECONDS: float = env.float("CHAT_TRIAL_SECONDS", 120.0)
"""How long such an answer, and each of a rehearsal, may take."""
CHAT_REHEARSAL_PARALLEL: int = env.int("CHAT_REHEARSAL_PARALLEL", 2)
"""Answers that rehearsals let one backend write at once, on the whole site; people's own answers go first."""
CHAT_PROBE_INTERVAL: float = env.float("CHAT_PROBE_INTERVAL", 60.0)
"""Seconds between two probes of a backend, in the background; 0 for none."""
CHAT_COOLING_FAILURES: int = env.int("CHAT_COOLING_FAILURES", 3)
"""Failures of a backend in a row after which it gets no new answers for a while; 0 for never."""
CHAT_SHUTDOWN_GRACE: float = env.float("CHAT_SHUTDOWN_GRACE", 5.0)
"""Seconds that running answers are given to end when the process is asked to stop."""
CHAT_SHARING: str = env.str("CHAT_SHARING", "public")
"""Who may open a shared link: anybody (``public``), who has an account here (``signed-in``), nobody (``off``)."""
CHAT_IMPORT_MAX_MB: int = env.int("CHAT_IMPORT_MAX_MB", 200)
"""Megabytes that an upload for an import may have, and what is packed in it."""
CHAT_UNDO_SECONDS: int = env.int("CHAT_UNDO_SECONDS", 86_400)
"""Seconds for which a person can restore a conversation that they deleted; then it is purged for good."""
CHAT_PURGE_DAILY: bool = env.bool("CHAT_PURGE_DAILY", True)
"""Whether the site does once a day what the retention rules say; without it, ``manage.py purge`` does."""
CHAT_TITLE_BACKEND: str = env.str("CHAT_TITLE_BACKEND", "")
"""The alias of the backend that names a conversation after its first answer; empty for the first words."""

REDIS_URL: str = env.str("REDIS_URL", "")
"""Where the processes of a site tell each other what the pages are to hear; one process alone needs none."""
WEB_CONCURRENCY: int = env.int("WEB_CONCURRENCY", 1)
"""How many processes serve the site, where uvicorn starts them: it reads the same variable."""

EVENTSTREAM_STORAGE_CLASS = "chat.events.RingStorage"
EVENTSTREAM_CHANNELMANAGER_CLASS = "chat.events.ChannelManager"
CHAT_CURRENCY: str = env.str("CHAT_CURRENCY", "USD")
"""Of the prices that assistants have; it is shown beside what an answer cost."""

SETTINGS_READ: dict[str, tuple[str, Any]] = {
    name: ("environment" if name in _before_the_file else ".env" if name in os.environ else "default", value)
    for name, value in env.dump().items()
}
"""Each variable that was read above: where its value is from, and the value. The admin shows it."""
