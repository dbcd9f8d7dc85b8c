import "./resolve.mjs";
import assert from "node:assert/strict";
import { test } from "node:test";

const { clock, isNews, remedyFor, wordsOf } = await import("chat/stage");

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

test("who waits is told what to do, once it is worth a word", () => {
  assert.equal(remedyFor({ stage: "queued", position: null }, 0), "");
  assert.equal(remedyFor({ stage: "queued", position: null }, 4), "while_waiting");
  assert.equal(remedyFor({ stage: "queued", position: 3 }, 0), "while_waiting");
  assert.equal(remedyFor({ stage: "queued", position: 3 }, 600), "while_waiting");
  assert.equal(remedyFor({ stage: "loading" }, 0), "while_loading");
  assert.equal(remedyFor({ stage: "reading" }, 1), "");
  assert.equal(remedyFor({ stage: "reading" }, 10), "while_reading");
  assert.equal(remedyFor({ stage: "reading" }, 60), "too_long");
  assert.equal(remedyFor({ stage: "queued", position: null }, 61), "too_long");
});

test("how long it has been reads as a clock", () => {
  assert.deepEqual([-1, 0, 7.9, 59, 60, 90, 3599, 3600, 3723].map(clock), [
    "0:00", "0:00", "0:07", "0:59", "1:00", "1:30", "59:59", "1:00:00", "1:02:03",
  ]);
});
