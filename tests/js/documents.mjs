// All the texts that renderers are compared on: our own, the examples of the CommonMark specification, and the tricks.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const read = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8"));
const require = createRequire(new URL("../../frontend/package.json", import.meta.url));

export const specification = require("commonmark-spec").tests.map(({ markdown }) => markdown.replaceAll("→", "\t"));
export const documents = [...read("documents.json"), ...read("answers.json"), ...specification, ...read("../browser/tricks.json").map(({ text }) => text)];

const PARTS = [
  "a", "word ", " ", "\n", "\n", "\n\n", "\n\n", "*", "**", "_", "~~", "`", "```", "```js", "~~~", "# ", "## ", "- ", "* ", "1. ", "2", "> ", "  ", "    ", "|", "| a | b |\n",
  "|---|:-:|\n", "| 1 | 2 |\n", "---", "===", "[", "]", "(", ")", "](https://a.example)", "![", "[x]", "- [ ] ", "- [x] ", "$", "$$", "$$\n", "\\[", "\\]", "\\(", "\\)", "\\", "x_1",
  "^2", "= ", "5", "한글", "😀", "https://b.example/", "<b>", "&amp;", "[x]: /r\n", "!", ":", "th", "\t", "\r\n",
];

/** Texts that nobody would write, the same every time. */
export function nonsense(count, seed = 5) {
  const random = generator(seed);
  return Array.from({ length: count }, () =>
    Array.from({ length: 2 + Math.floor(random() * 40) }, () => PARTS[Math.floor(random() * PARTS.length)]).join(""));
}

export function generator(seed) {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return state / 4294967296;
  };
}

documents.push(...nonsense(100));

if (process.argv[1] === new URL(import.meta.url).pathname) process.stdout.write(JSON.stringify(documents));
