"""What the documents say is true: settings, checks, commands, links and the tutorial's code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_every_setting_is_documented():
    code = read("chatsite/settings.py")
    variables = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', code))
    assert variables
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", read("docs/settings.md"), re.MULTILINE))
    assert documented == variables


def test_every_check_is_documented():
    code = "".join(path.read_text() for folder in ("backends", "chat") for path in (ROOT / folder).rglob("*.py"))
    used = set(re.findall(r'"((?:backends|chat)\.[EW]\d{3})"', code))
    documented = set(re.findall(r"^\| `((?:backends|chat)\.[EW]\d{3})` \|", read("docs/settings.md"), re.MULTILINE))
    assert documented == used


def test_every_event_is_documented():
    # What people do in the admin is told the audit log in words like these.
    paths = [path for path in (ROOT / "chat").rglob("*.py") if "admin" not in path.parts]
    code = "".join(path.read_text() for path in paths)
    used = set(re.findall(r'"((?:message|generation|conversation|banner)\.(?!_)[a-z]+)"', code))
    documented = set(re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", read("docs/streaming.md"), re.MULTILINE))
    assert used == documented


def test_every_module_has_a_place_on_the_map():
    text = read("docs/architecture.md")
    for path in (ROOT / "chat").glob("*.py"):
        if path.stem != "__init__":
            assert f"`{path.stem}`" in text, path.stem
    for path in (ROOT / "chat").glob("*/__init__.py"):
        if path.parent.name != "migrations":
            assert re.search(rf"`{path.parent.name}/?`", text), path.parent.name
    for room in ("operation", "people", "retention", "diagnosis"):
        for path in (ROOT / "chat" / room).glob("[!_]*.py"):
            assert f"`{path.stem}`" in text, path
    for path in (ROOT / "backends").iterdir():
        if not path.name.startswith("_"):
            assert f"`{path.stem}" in text, path.stem


def test_every_make_target_is_in_the_help():
    makefile = read("Makefile")
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()) - {"setup"}
    assert targets == set(re.findall(r"^([a-z]+):.*##", makefile, re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#\s]+)\)", document.read_text(encoding="utf-8")):
        if not re.match(r"https?:|mailto:", target):
            assert (document.parent / target).exists(), target


def blocks_of(page: str) -> list[str]:
    """Return the Python code that a page of the docs shows."""
    return re.findall(r"```python\n(.*?)```", read(f"docs/{page}"), re.DOTALL)


@pytest.mark.parametrize(
    ("page", "names", "passed"),
    [
        ("write-a-backend.md", {"mybackends.py", "test_mybackends.py"}, "8 passed"),
        ("moderation.md", {"mymoderation.py", "test_mymoderation.py"}, "9 passed"),
    ],
)
def test_the_tutorial_runs(tmp_path, page, names, passed):
    """Write its files as a reader would, and run the suite that it ends with."""
    blocks = blocks_of(page)
    files = {match[1]: block for block in blocks if (match := re.match(r"# (\w+\.py)", block))}
    assert set(files) == names
    for name, block in files.items():
        (tmp_path / name).write_text(block)
    for block in blocks:
        compile(block, page, "exec")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(tmp_path / "pytest.ini")]
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT} {tmp_path}\n")
    done = subprocess.run([*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert passed in done.stdout


def setting_of(page: str, module: str, name: str, folder: Path) -> Any:
    """Write the tutorial's module into the folder, and return the setting that it tells to make."""
    blocks = blocks_of(page)
    (folder / module).write_text(next(block for block in blocks if block.startswith(f"# {module}")))
    namespace: dict = {}
    exec(next(block for block in blocks if block.startswith(name)), namespace)
    return namespace[name]


def test_the_tutorials_settings_are_right(tmp_path, monkeypatch, settings):
    monkeypatch.syspath_prepend(tmp_path)
    settings.CHAT_BACKENDS = setting_of("write-a-backend.md", "mybackends.py", "CHAT_BACKENDS", tmp_path)
    from backends import chat_backends
    from backends.checks import check_chat_backends

    assert check_chat_backends() == []
    assert chat_backends["shout"].ending == "!!"


def test_the_settings_of_the_tutorial_of_moderators_are_right(tmp_path, monkeypatch, settings):
    monkeypatch.syspath_prepend(tmp_path)
    settings.CHAT_MODERATION = setting_of("moderation.md", "mymoderation.py", "CHAT_MODERATION", tmp_path)
    from backends.moderation import moderators
    from backends.moderation.checks import check_moderation

    assert check_moderation() == []
    assert moderators["shouting"].moderator.least == 20
