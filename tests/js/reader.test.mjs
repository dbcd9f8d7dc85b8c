import "./resolve.mjs";
import assert from "node:assert/strict";
import { test } from "node:test";

const { Reader, lengthOf } = await import("chat/reader");

test("it works", () => {
  const reader = new Reader();
  assert.equal(reader.read({ offset: 0, text: "Good " }), true);
  assert.equal(reader.read({ offset: 5, text: "day" }), true);
  assert.equal(reader.text, "Good day");
  assert.equal(reader.length, 8);
});

test("it counts code points", () => {
  assert.equal(lengthOf("a😀한"), 3);
  const reader = new Reader("😀😀");
  assert.equal(reader.read({ offset: 2, text: "한😀" }), true);
  assert.equal(reader.length, 4);
  assert.equal(reader.text, "😀😀한😀");
});

test("it skips what it knows", () => {
  const reader = new Reader("Good day");
  assert.equal(reader.read({ offset: 0, text: "Good" }), true);
  assert.equal(reader.read({ offset: 5, text: "day, 😀" }), true);
  assert.equal(reader.read({ offset: 5, text: "day, 😀" }), true);
  assert.equal(reader.text, "Good day, 😀");
  assert.equal(reader.length, 11);
});

test("it sees a gap and changes nothing", () => {
  const reader = new Reader("Good");
  assert.equal(reader.read({ offset: 5, text: "day" }), false);
  assert.equal(reader.text, "Good");
  reader.replace("Good ");
  assert.equal(reader.read({ offset: 5, text: "day" }), true);
  assert.equal(reader.text, "Good day");
});

test("it takes a snapshot in place of what it has", () => {
  const reader = new Reader("Good evening");
  reader.replace("안녕");
  assert.equal(reader.length, 2);
});

test("whatever is repeated, lost or late, the text is whole in the end", () => {
  const random = generator(7);
  const alphabet = ["a", " ", "😀", "한", "é", "\n"];
  for (let round = 0; round < 500; round += 1) {
    const points = Array.from({ length: 60 }, () => alphabet[Math.floor(random() * alphabet.length)]);
    const deltas = [];
    for (let offset = 0; offset < points.length;) {
      const size = 1 + Math.floor(random() * 7);
      deltas.push({ offset, text: points.slice(offset, offset + size).join("") });
      offset += size;
    }
    const reader = new Reader();
    let stored = 0;
    deltas.forEach((delta, index) => {
      stored = delta.offset + lengthOf(delta.text);
      const heard = random() < 0.2 ? [] : random() < 0.3 ? deltas.slice(Math.max(0, index - 3), index + 1) : [delta];
      for (const event of heard) {
        if (!reader.read(event)) reader.replace(points.slice(0, stored).join(""));
      }
      assert.ok(points.join("").startsWith(reader.text));
    });
    if (reader.length !== points.length) reader.replace(points.join(""));
    assert.equal(reader.text, points.join(""));
  }
});

function generator(seed) {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return state / 4294967296;
  };
}
