// The vectors of docs/streaming.md, which tests/protocol/reader.py passes as well.
import "./resolve.mjs";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const { Branch } = await import("chat/reader");
const cases = JSON.parse(readFileSync(new URL("../protocol/vectors.json", import.meta.url), "utf8"));

/** @param {Branch} branch */
const runningIn = (branch) => branch.ids.filter((id) => !branch.reader(id).isOver);

for (const { name, steps } of cases) {
  test(name, () => {
    const branch = new Branch();
    let askedAt = 0;
    steps.forEach(({ step, data, texts, running, needs_snapshot: needs }, index) => {
      if (step === "ask") askedAt = branch.ask();
      else if (step === "fail") branch.fail();
      else if (step === "snapshot") branch.take(data, askedAt);
      else branch.hear(step, data);
      const where = `step ${index}, ${step}`;
      assert.deepEqual(branch.ids.map((id) => [id, branch.reader(id).text]), texts, where);
      assert.deepEqual(runningIn(branch), running, where);
      assert.equal(branch.needsSnapshot, needs, where);
    });
  });
}
