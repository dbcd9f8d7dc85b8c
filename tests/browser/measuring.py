"""What a page is measured with, in its own browser: each returns what is wrong, in words."""

from __future__ import annotations

SMALL = """() => {
    const controls = "a[href], button, input:not([type=hidden]), select, textarea, summary, label";
    const found = [];
    for (const control of document.querySelectorAll(controls)) {
        const box = control.getBoundingClientRect();
        const style = getComputedStyle(control);
        if (control.matches("label") && !control.control?.matches("[type=radio], [type=checkbox]")) continue;
        const isShown = control.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && box.width > 1;
        const isCovered = control.closest("[inert], .symbols");
        // A box in a label is as large as the label; a link in a sentence is as high as its line.
        const isLabelled = control.matches("[type=radio], [type=checkbox]") && control.labels?.length;
        const isPart = isLabelled || (control.matches("input") && control.closest("label"));
        const isInline = control.matches("a") && style.display === "inline";
        const isWholeRow = getComputedStyle(control, "::after").position === "absolute";
        if (!isShown || isCovered || isPart || isInline || isWholeRow || style.pointerEvents === "none") continue;
        if (box.width < 43.5 || box.height < 43.5) {
            found.push(`${control.outerHTML.slice(0, 120)} ${box.width}x${box.height}`);
        }
    }
    return found;
}"""

WIDE = """() => {
    const width = document.documentElement.clientWidth;
    const found = [];
    for (const element of document.querySelectorAll("body *")) {
        const box = element.getBoundingClientRect();
        const isShown = element.checkVisibility({ visibilityProperty: true }) && box.width > 1 && box.height > 1;
        if (!isShown || element.closest(".symbols, .sr, .skip, .side:not(:target)")) continue;
        // What is wide by nature scrolls in its own box.
        let scroller = element.parentElement;
        while (scroller && getComputedStyle(scroller).overflowX === "visible") scroller = scroller.parentElement;
        if (scroller && scroller !== document.body && scroller.getBoundingClientRect().right <= width + 1) continue;
        if (box.right <= width + 1 && box.left >= -1) continue;
        // What holds it is told already.
        const { left, right } = element.parentElement.getBoundingClientRect();
        if (element.parentElement !== document.body && (right > width + 1 || left < -1)) continue;
        found.push(`${element.outerHTML.slice(0, 100)} ${box.left}-${box.right}`);
    }
    const { scrollWidth } = document.documentElement;
    if (scrollWidth > width) found.push(`the page: ${scrollWidth} of ${width}`);
    return found;
}"""
