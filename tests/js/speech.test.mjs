import "./resolve.mjs";
import assert from "node:assert/strict";
import { test } from "node:test";

const { Sentences, plain } = await import("chat/speech");

/** What is spoken of a text that grows by pieces of a size. @param {string} text @param {number} size */
function spoken(text, size) {
  const sentences = new Sentences();
  /** @type {string[]} */
  const found = [];
  for (let end = size; end < text.length; end += size) found.push(...sentences.push(text.slice(0, end)));
  found.push(...sentences.push(text, true));
  return found;
}

/** Whatever the pieces, the same is spoken. @param {string} text @param {string[]} expected */
function speaks(text, expected) {
  for (const size of [1, 2, 3, 7, 50, 10_000]) assert.deepEqual(spoken(text, size), expected, `in pieces of ${size}`);
}

test("a sentence is given out once the next one has begun", () => {
  const sentences = new Sentences();
  assert.deepEqual(sentences.push("The site runs"), []);
  assert.deepEqual(sentences.push("The site runs."), []);
  assert.deepEqual(sentences.push("The site runs. It"), ["The site runs."]);
  assert.deepEqual(sentences.push("The site runs. It is fast"), []);
  assert.deepEqual(sentences.push("The site runs. It is fast", true), ["It is fast"]);
  assert.deepEqual(sentences.push("The site runs. It is fast", true), []);
});

test("sentences of English", () => {
  speaks("Is it up? Yes! It costs 3.5 dollars, e.g. for a day. Version 2.0.1 is out.", [
    "Is it up?", "Yes!", "It costs 3.5 dollars, e.g. for a day.", "Version 2.0.1 is out.",
  ]);
});

test("sentences of Korean, Japanese and Chinese", () => {
  speaks("사이트를 시작합니다. 브라우저를 여세요! 되나요? 네.", ["사이트를 시작합니다.", "브라우저를 여세요!", "되나요?", "네."]);
  speaks("これは文です。次の文です。", ["これは文です。", "次の文です。"]);
});

test("blocks end a sentence, soft breaks do not", () => {
  speaks("# A title\n\nOne sentence\nover two lines. Another\n\n- first item\n- second item\n\nEnd", [
    "A title", "One sentence over two lines.", "Another", "first item", "second item", "End",
  ]);
  speaks("1. one\n2. two\n\n> quoted words\n\n---\n\nafter", ["one", "two", "quoted words", "after"]);
});

test("code is left out", () => {
  speaks("Run this:\n\n```sh\nmake run. Now. And again.\n# not a title\n```\n\nThen wait.", ["Run this:", "Then wait."]);
  speaks("~~~~\n```\nstill code. yes.\n```\n~~~~\nOver.", ["Over."]);
  speaks("```\nnever closed. really.", []);
  speaks("A formula:\n\n$$\na. b. c.\n$$\n\nDone.", ["A formula:", "Done."]);
  speaks("In line: $$x$$ is it. Yes.", ["In line: $$x$$ is it.", "Yes."]);
});

test("code in a sentence neither ends it nor is lost", () => {
  speaks("Call `run. Now` first. Then stop.", ["Call run, Now first.", "Then stop."]);
});

test("marks are not spoken", () => {
  speaks("This is **very** _good_. See [the guide](https://example.org/a. b) for snake_case_names.", [
    "This is very good.", "See the guide for snake_case_names.",
  ]);
  assert.equal(plain("**half", false), "half");
  assert.equal(plain("a `half", false), "a ");
  assert.equal(plain("see [the gui", false), "see ");
  assert.equal(plain("see [the guide](http", false), "see ");
});

test("a table is read by rows", () => {
  speaks("| Name | Price |\n|---|--:|\n| Tea | 2 |\n| Milk | 1 |\n\nThat is all.", ["Name, Price", "Tea, 2", "Milk, 1", "That is all."]);
});

test("nothing is spoken of nothing", () => {
  speaks("", []);
  speaks("\n\n  \n", []);
  speaks("***\n\n!!! ???", []);
});

test("after another text it goes on at its end", () => {
  const sentences = new Sentences();
  sentences.push("One. Two. Th");
  assert.deepEqual(sentences.push("Other. Words. And"), []);
  assert.deepEqual(sentences.push("Other. Words. And more. Yes", true), ["more.", "Yes"]);
});

test("long answers cost no more at their end", () => {
  const sentence = "This is one of very many sentences. ";
  const sentences = new Sentences();
  let text = "";
  let count = 0;
  const before = process.cpuUsage();
  for (let paragraph = 0; paragraph < 2_000; paragraph++) {
    text += `${sentence.repeat(3)}\n\n`;
    count += sentences.push(text).length;
  }
  assert.equal(count, 6_000);
  // Not the clock: the machine may be busy with something else.
  assert.ok(process.cpuUsage(before).user < 5_000_000);
});
