import "./resolve.mjs";
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

/** As browsers have it: keys are properties, values are strings, and it may be full. */
class FakeStorage {
  constructor() {
    Object.defineProperty(this, "room", { value: Infinity, writable: true, enumerable: false });
  }

  get length() {
    return Object.keys(this).length;
  }

  key(index) {
    return Object.keys(this)[index] ?? null;
  }

  getItem(name) {
    return this[name] ?? null;
  }

  setItem(name, value) {
    const others = Object.entries(this).filter(([each]) => each !== name).flat().join("").length;
    if (others + name.length + value.length > this.room) throw new Error("QuotaExceededError");
    this[name] = String(value);
  }

  removeItem(name) {
    delete this[name];
  }
}

const local = new FakeStorage();
const session = new FakeStorage();
globalThis.localStorage = local;
Object.defineProperty(globalThis, "sessionStorage", { value: session, configurable: true });
const listeners = [];
globalThis.addEventListener = (name, listen) => name === "storage" && listeners.push(listen);

/** A module of its own is a tab of its own. */
let tabs = 0;
async function openTab(id = `tab-${tabs + 1}`) {
  session.tab = id;
  return import(`../../chat/static/chat/drafts.js?${tabs++}`);
}
const hear = (key) => listeners.forEach((listen) => listen({ key }));

beforeEach(() => {
  for (const storage of [local, session]) for (const name of Object.keys(storage)) delete storage[name];
  local.room = Infinity;
  listeners.length = 0;
});

test("what was typed is there after a reload, and gone when it is sent", async () => {
  const { Draft } = await openTab("a");
  new Draft("1", "new").save("Hello");
  const after = await openTab("a");
  assert.equal(new after.Draft("1", "new").text, "Hello");
  assert.equal(new after.Draft("1", "other").text, "");
  new after.Draft("1", "new").save("");
  assert.deepEqual(Object.keys(local), []);
});

test("somebody else sees nothing of it, and makes it go", async () => {
  const { Draft } = await openTab();
  new Draft("1", "new").save("secret");
  assert.equal(new Draft("11", "new").text, "");
  assert.deepEqual(Object.keys(local), []);
});

test("another tab follows until something is typed in it", async () => {
  const first = new (await openTab("a")).Draft("1", "c");
  const second = new (await openTab("b")).Draft("1", "c");
  const shown = [];
  second.follow((text) => shown.push(text));
  first.save("Hello");
  hear("draft:1:c");
  assert.deepEqual(shown, ["Hello"]);
  second.save("Hello, too");
  first.save("Hello again");
  hear("draft:1:c");
  assert.deepEqual(shown, ["Hello"]);
});

test("two who write at once overwrite nothing", async () => {
  const first = new (await openTab("a")).Draft("1", "c");
  const second = new (await openTab("b")).Draft("1", "c");
  first.save("one");
  second.save("two");
  first.save("one more");
  assert.equal(first.text, "one more");
  assert.equal(second.text, "two");
  const reloaded = new (await openTab("b")).Draft("1", "c");
  assert.equal(reloaded.text, "two");
  reloaded.save("");
  assert.equal(new (await openTab("a")).Draft("1", "c").text, "one more");
});

test("what a closed tab had apart is found again", async () => {
  const first = new (await openTab("a")).Draft("1", "c");
  const second = new (await openTab("b")).Draft("1", "c");
  first.save("one");
  second.save("two");
  first.save("");
  assert.equal(new (await openTab("c")).Draft("1", "c").text, "two");
});

test("old ones and too many go", async () => {
  const { Draft } = await openTab();
  const day = 24 * 60 * 60 * 1000;
  local["draft:1:old"] = JSON.stringify({ text: "x", at: Date.now() - 31 * day, tab: "a" });
  local["draft:1:broken"] = "{";
  for (let number = 0; number < 120; number++) {
    local[`draft:1:${number}`] = JSON.stringify({ text: "x", at: Date.now() - 1000 * number, tab: "a" });
  }
  local.theme = "kept";
  assert.equal(new Draft("1", "0").text, "x");
  assert.equal(Object.keys(local).length, 101);
  assert.equal(new Draft("1", "119").text, "");
});

test("where there is no room, the newest counts", async () => {
  const { Draft } = await openTab();
  new Draft("1", "a").save("x".repeat(400));
  local.room = 600;
  new Draft("1", "b").save("y".repeat(400));
  assert.equal(new Draft("1", "b").text.length, 400);
  assert.equal(new Draft("1", "a").text, "");
  local.room = 100;
  new Draft("1", "b").save("z".repeat(400)); // stays in the field, and nothing breaks
});

test("who signs out leaves nothing, whatever the page still does", async () => {
  const { Draft, forgetAll } = await openTab();
  const draft = new Draft("1", "new");
  draft.save("secret");
  session["draft:edit:3"] = "secret";
  forgetAll();
  draft.save("secret");
  assert.deepEqual(Object.keys(local), []);
  assert.deepEqual(Object.keys(session), ["tab"]);
});
