import "./resolve.mjs";
import assert from "node:assert/strict";
import { test } from "node:test";

const { isNews, wordsOf } = await import("chat/stage");

test("each stage has its words", () => {
  assert.deepEqual(wordsOf({ stage: "queued", position: null }), ["waiting"]);
  assert.deepEqual(wordsOf({ stage: "queued", position: 3 }), ["waiting_at", 3]);
  assert.deepEqual(wordsOf({ stage: "queued", position: 1 }), ["waiting_next"]);
  assert.deepEqual(wordsOf({ stage: "loading", progress: null }), ["loading"]);
  assert.deepEqual(wordsOf({ stage: "loading", progress: 0 }), ["loading_at", 0]);
  assert.deepEqual(wordsOf({ stage: "loading", progress: 0.4 }), ["loading_at", 40]);
  assert.deepEqual(wordsOf({ stage: "loading", progress: 1 }), ["loading_at", 100]);
  assert.deepEqual(wordsOf({ stage: "reading" }), ["reading"]);
  assert.deepEqual(wordsOf({ stage: "writing" }), ["writing"]);
});

test("every hundredth is itself", () => {
  for (let percent = 0; percent <= 100; percent++) {
    assert.equal(wordsOf({ stage: "loading", progress: percent / 100 })[1], percent);
  }
});

test("listeners hear of a stage, of their first place and of being next, and of no step between", () => {
  const told = [
    { stage: "queued", position: null },
    { stage: "queued", position: 4 },
    { stage: "queued", position: 3 },
    { stage: "queued", position: 1 },
    { stage: "queued", position: 1 },
    { stage: "loading", progress: null },
    { stage: "loading", progress: 0.5 },
    { stage: "reading" },
    { stage: "reading" },
  ];
  const news = told.slice(1).map((now, index) => isNews(told[index], now));
  assert.deepEqual(news, [true, false, true, false, true, false, true, false]);
});
