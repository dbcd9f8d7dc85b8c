// Prints what the browser's renderer makes of each text that comes in as a JSON list, for comparison with the server's.
import "./resolve.mjs";
import { root } from "./dom.mjs";
import { readFileSync } from "node:fs";

const { Rendering } = await import("chat/markdown");
const rendered = JSON.parse(readFileSync(0, "utf8")).map((text) => {
  const element = root();
  const rendering = new Rendering(element);
  rendering.update(text);
  rendering.finish();
  return element.innerHTML;
});
process.stdout.write(JSON.stringify(rendered));
