// Prints what the browser's renderer makes of each text in documents.json, for the comparison with the server's.
import "./resolve.mjs";
import { root } from "./dom.mjs";
import { readFileSync } from "node:fs";

const { Rendering } = await import("chat/markdown");
const documents = JSON.parse(readFileSync(new URL("documents.json", import.meta.url), "utf8"));
const rendered = documents.map((text) => {
  const element = root();
  const rendering = new Rendering(element);
  rendering.update(text);
  rendering.finish();
  return element.innerHTML;
});
process.stdout.write(JSON.stringify(rendered));
