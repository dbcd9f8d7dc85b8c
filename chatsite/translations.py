"""Bring the translations in line with the texts of the site: ``python -m chatsite.translations``.

Reads all texts out of the code and the templates, puts them into ``locale/<language>/LC_MESSAGES/django.po``, where
people translate them, and compiles the ``.po`` files to the ``.mo`` files that the site reads. Both are in the
repository, so that a new clone needs neither this module nor gettext.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "locale"
LANGUAGES = ("ko",)
"""Those that are translated; the texts in the code are English."""
SOURCES = ("backends", "chat", "chatsite", "guide")
TEMPLATES = ("templates",)
KEYWORDS = {
    **DEFAULT_KEYWORDS,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext_lazy": ((1, "c"), 2, 3),
}


def texts() -> Catalog:
    """Return a catalog of all texts of the site, without translations."""
    catalog = Catalog(domain="django", fuzzy=False)
    for name, source, method in _sources():
        found = extract(method, io.BytesIO(source.encode()), KEYWORDS, ["Translators:"], {"encoding": "utf-8"})
        for line, message, comments, context in found:
            # The lines change with every edit, and say little: the file is enough to find a text.
            catalog.add(message, locations=[(name, 0)], auto_comments=comments, context=context)
            del line
    return catalog


def _sources() -> Iterator[tuple[str, str, str]]:
    """Yield the name and text of each file, and Babel's way to read it."""
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text("utf-8"), "python"
    for folder in TEMPLATES:
        for path in sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in {".html", ".txt", ".js"}):
            yield str(path.relative_to(ROOT)), _as_python(path), "python"


def _as_python(path: Path) -> str:
    """Return a template as the calls that makemessages makes of it; what is not to be translated is blanked out."""
    import django
    from django.conf import settings
    from django.utils.translation.template import templatize

    if not settings.configured:
        settings.configure()
        django.setup()
    lines = templatize(path.read_text("utf-8"), origin=str(path)).splitlines()
    return "\n".join(line.strip() for line in lines)


def po_path(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "django.po"


def read(language: str) -> Catalog:
    """Return what is translated so far."""
    with po_path(language).open("rb") as file:
        return read_po(file, locale=language, domain="django")


def update(language: str) -> Catalog:
    """Return the texts of the site with the translations there are; what is used no more is gone."""
    catalog = read(language) if po_path(language).exists() else _new(language)
    # A guess from a similar text is worse than none: it looks finished.
    catalog.update(texts(), no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    return catalog


def _new(language: str) -> Catalog:
    return Catalog(
        locale=language,
        domain="django",
        fuzzy=False,
        project="chatsite",
        version="1",
        header_comment=f"# The texts of the site in {language}: docs/translating.md.",
        last_translator="chatsite",
        language_team="chatsite",
        msgid_bugs_address="",
        revision_date=datetime.now(UTC),
    )


def missing(catalog: Catalog) -> list[Message]:
    """Return what is not translated, or not surely."""
    return [message for message in catalog if message.id and (message.fuzzy or not _is_whole(message))]


def _is_whole(message: Message) -> bool:
    strings = message.string if isinstance(message.string, list | tuple) else (message.string,)
    return bool(strings) and all(strings)


def po_text(catalog: Catalog) -> bytes:
    file = io.BytesIO()
    write_po(file, catalog, width=120, include_lineno=False, sort_output=True, omit_header=False)
    return file.getvalue()


def mo_text(catalog: Catalog) -> bytes:
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def main() -> int:
    """Write the files of all languages; return 1 if something is missing."""
    left = 0
    for language in LANGUAGES:
        catalog = update(language)
        path = po_path(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(po_text(catalog))
        path.with_suffix(".mo").write_bytes(mo_text(catalog))
        for message in missing(catalog):
            left += 1
            sys.stdout.write(f"{language}: not translated: {message.id!r} ({message.locations[0][0]})\n")
        sys.stdout.write(f"{language}: {len(catalog)} texts, {left} to translate, in {path.relative_to(ROOT)}\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
