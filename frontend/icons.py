"""Draw the icons of the installed app from chat/static/chat/icon.svg: ``python frontend/icons.py``.

Needs what the tests need (make test): Playwright and a Chromium.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).resolve().parent.parent / "chat" / "static" / "chat"
CORNERS = 'rx="13"'


def main() -> None:
    svg = (FOLDER / "icon.svg").read_text()
    assert CORNERS in svg
    # Systems cut a maskable icon into their own shape: colour to the edges, and the symbol in the middle 80 %.
    head, path = svg.removesuffix("</svg>").split("<path", 1)
    symbol = f'<g transform="translate(24 24) scale(.82) translate(-24 -25.2)"><path{path}</g></svg>'
    full = head.replace(CORNERS, "") + symbol
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, size, drawing in (
            ("icon-192.png", 192, svg),
            ("icon-512.png", 512, svg),
            ("icon-180.png", 180, full),
            ("icon-maskable-512.png", 512, full),
        ):
            page = browser.new_page(viewport={"width": size, "height": size})
            page.set_content(
                f"<style>body{{margin:0}}svg{{display:block;width:{size}px;height:{size}px}}</style>{drawing}"
            )
            page.screenshot(path=FOLDER / name, omit_background=True)
        browser.close()


if __name__ == "__main__":
    main()
