import "./resolve.mjs";
import assert from "node:assert/strict";
import { test } from "node:test";

const { Branch, Reader, lengthOf } = await import("chat/reader");

test("it works", () => {
  const reader = new Reader();
  reader.read({ offset: 0, text: "Good " });
  reader.read({ offset: 5, text: "day" });
  assert.equal(reader.text, "Good day");
  assert.equal(reader.length, 8);
  assert.equal(reader.isOver, false);
});

test("it counts code points", () => {
  assert.equal(lengthOf("a😀한"), 3);
  const reader = new Reader("😀😀");
  reader.read({ offset: 2, text: "한😀" });
  assert.equal(reader.length, 4);
  assert.equal(reader.text, "😀😀한😀");
});

test("whatever is repeated, lost or late, the text is whole in the end", () => {
  const random = generator(7);
  const alphabet = ["a", " ", "😀", "한", "é", "\n"];
  for (let round = 0; round < 500; round += 1) {
    const points = Array.from({ length: 60 }, () => alphabet[Math.floor(random() * alphabet.length)]);
    const deltas = [];
    for (let offset = 0; offset < points.length;) {
      const size = 1 + Math.floor(random() * 7);
      deltas.push({ message: 1, offset, text: points.slice(offset, offset + size).join("") });
      offset += size;
    }
    const whole = points.join("");
    const branch = new Branch();
    branch.hear("message.created", { message: 1, parent: null, generation: "queued" });
    deltas.forEach((delta, index) => {
      const heard = random() < 0.2 ? [] : random() < 0.3 ? deltas.slice(Math.max(0, index - 3), index + 1).reverse() : [delta];
      for (const event of heard) branch.hear("message.delta", event);
      assert.ok(whole.startsWith(branch.reader(1).text));
    });
    branch.hear("message.finished", { message: 1, length: points.length });
    if (branch.needsSnapshot) branch.take([{ id: 1, text: whole, status: "completed" }], branch.ask());
    assert.equal(branch.needsSnapshot, false);
    assert.equal(branch.reader(1).text, whole);
  }
});

function generator(seed) {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return state / 4294967296;
  };
}
