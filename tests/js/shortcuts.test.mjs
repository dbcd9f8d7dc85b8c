import "./resolve.mjs";
import assert from "node:assert/strict";
import { test } from "node:test";

Object.assign(globalThis, {
  document: { documentElement: { dataset: {} }, getElementById: () => null, querySelector: () => null, addEventListener() {} },
});
const { isPressed } = await import("chat/shortcuts");

/** @param {string} key @param {object} [more] */
const event = (key, more = {}) => ({ key, code: "", ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more });

test("Mod is Ctrl, and ⌘ on a Mac", () => {
  const ctrl = event("O", { ctrlKey: true, shiftKey: true });
  const command = event("o", { metaKey: true, shiftKey: true });
  assert.ok(isPressed("Mod+Shift+O", ctrl, false));
  assert.ok(!isPressed("Mod+Shift+O", ctrl, true));
  assert.ok(isPressed("Mod+Shift+O", command, true));
  assert.ok(!isPressed("Mod+Shift+O", command, false));
});

test("a modifier more or less is another combination", () => {
  assert.ok(!isPressed("Mod+Shift+O", event("o", { ctrlKey: true }), false));
  assert.ok(!isPressed("Mod+Shift+O", event("O", { ctrlKey: true, shiftKey: true, altKey: true }), false));
  assert.ok(!isPressed("K", event("k", { ctrlKey: true }), false));
  assert.ok(!isPressed("K", event("K", { shiftKey: true }), false));
  assert.ok(!isPressed("Alt+ArrowUp", event("ArrowUp"), false));
  assert.ok(isPressed("Alt+ArrowUp", event("ArrowUp", { altKey: true }), false));
});

test("letters count by their place where the layout has others", () => {
  assert.ok(isPressed("Mod+Shift+O", event("ㅒ", { code: "KeyO", ctrlKey: true, shiftKey: true }), false));
  assert.ok(isPressed("J", event("ㅓ", { code: "KeyJ" }), false));
  // Dvorak has an s where the plan of the keys has an o.
  assert.ok(!isPressed("Mod+Shift+O", event("S", { code: "KeyO", ctrlKey: true, shiftKey: true }), false));
});

test("signs are found wherever the layout has them", () => {
  assert.ok(isPressed("?", event("?", { shiftKey: true }), false));
  assert.ok(isPressed("?", event("?"), false));
  assert.ok(isPressed("Mod+/", event("/", { ctrlKey: true, shiftKey: true }), false));
  assert.ok(!isPressed("?", event("/"), false));
});
