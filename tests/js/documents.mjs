// All the texts that renderers are compared on: our own, the examples of the CommonMark specification, and the tricks.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const read = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8"));
const require = createRequire(new URL("../../frontend/package.json", import.meta.url));

export const specification = require("commonmark-spec").tests.map(({ markdown }) => markdown.replaceAll("→", "\t"));
export const documents = [...read("documents.json"), ...read("answers.json"), ...specification, ...read("../browser/tricks.json").map(({ text }) => text)];

if (process.argv[1] === new URL(import.meta.url).pathname) process.stdout.write(JSON.stringify(documents));
