"""How static files are stored when they are collected."""

from __future__ import annotations

from django.core.files.base import ContentFile

from chatsite.staticfiles import ManifestStaticFilesStorage


def test_our_scripts_are_whole_but_for_comments(tmp_path):
    storage = ManifestStaticFilesStorage(location=tmp_path, base_url="/static/")
    storage.save("chat/it.js", ContentFile(b"// Why.\nexport const words = `two  blanks`;\n"))
    for _, _, trouble in storage.post_process({"chat/it.js": (storage, "chat/it.js")}):
        assert not isinstance(trouble, Exception)
    hashed = storage.hashed_files["chat/it.js"]
    assert hashed != "chat/it.js"
    assert (tmp_path / hashed).read_text().strip() == "export const words=`two  blanks`;"
