"""What the documents say is true: settings, checks, commands, links and the tutorial's code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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
    code = "".join(path.read_text() for path in (ROOT / "chat").glob("*.py"))
    used = set(re.findall(r'"((?:message|generation|conversation|banner)\.(?!_)[a-z]+)"', code))
    documented = set(re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", read("docs/streaming.md"), re.MULTILINE))
    assert used == documented


def test_every_module_has_a_place_on_the_map():
    text = read("docs/architecture.md")
    for path in (ROOT / "chat").glob("*.py"):
        if path.stem != "__init__":
            assert f"`{path.stem}`" in text, path.stem
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


def test_the_tutorial_runs(tmp_path):
    """Write its files as a reader would, and run the suite that it ends with."""
    blocks = re.findall(r"```python\n(.*?)```", read("docs/write-a-backend.md"), re.DOTALL)
    files = {match[1]: block for block in blocks if (match := re.match(r"# (\w+\.py)", block))}
    assert set(files) == {"mybackends.py", "test_mybackends.py"}
    for name, block in files.items():
        (tmp_path / name).write_text(block)
    for block in blocks:
        compile(block, "write-a-backend.md", "exec")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(tmp_path / "pytest.ini")]
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT} {tmp_path}\n")
    done = subprocess.run([*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "8 passed" in done.stdout


def test_the_tutorials_settings_are_right(tmp_path, monkeypatch, settings):
    blocks = re.findall(r"```python\n(.*?)```", read("docs/write-a-backend.md"), re.DOTALL)
    (tmp_path / "mybackends.py").write_text(next(block for block in blocks if block.startswith("# mybackends.py")))
    monkeypatch.syspath_prepend(tmp_path)
    namespace: dict = {}
    exec(next(block for block in blocks if block.startswith("CHAT_BACKENDS")), namespace)
    settings.CHAT_BACKENDS = namespace["CHAT_BACKENDS"]
    from backends import chat_backends
    from backends.checks import check_chat_backends

    assert check_chat_backends() == []
    assert chat_backends["shout"].ending == "!!"


def test_the_tutorial_of_moderators_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", read("docs/moderation.md"), re.DOTALL)
    files = {match[1]: block for block in blocks if (match := re.match(r"# (\w+\.py)", block))}
    assert set(files) == {"mymoderation.py", "test_mymoderation.py"}
    for name, block in files.items():
        (tmp_path / name).write_text(block)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT} {tmp_path}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(tmp_path / "pytest.ini")]
    done = subprocess.run([*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "9 passed" in done.stdout


def test_the_settings_of_the_tutorial_of_moderators_are_right(tmp_path, monkeypatch, settings):
    blocks = re.findall(r"```python\n(.*?)```", read("docs/moderation.md"), re.DOTALL)
    (tmp_path / "mymoderation.py").write_text(next(block for block in blocks if block.startswith("# mymoderation.py")))
    monkeypatch.syspath_prepend(tmp_path)
    namespace: dict = {}
    exec(next(block for block in blocks if block.startswith("CHAT_MODERATION")), namespace)
    settings.CHAT_MODERATION = namespace["CHAT_MODERATION"]
    from backends.moderation import moderators
    from backends.moderation.checks import check_moderation

    assert check_moderation() == []
    assert moderators["shouting"].moderator.least == 20
