// Colours blocks of code with highlight.js: the language that the fence names, and no other.
import hljs from "highlight.js";

/** Characters beyond which a block stays as it is: colouring it would be felt. */
const LONGEST = 50_000;
/** @type {Record<string, string>} */
const ALIASES = {
  "c#": "csharp", "c++": "cpp", "f#": "fsharp", asm: "x86asm", bat: "powershell", cc: "cpp", cjs: "javascript", clj: "clojure",
  console: "shell", cs: "csharp", docker: "dockerfile", el: "lisp", erl: "erlang", ex: "elixir", exs: "elixir", f90: "fortran",
  gitignore: "plaintext", golang: "go", gql: "graphql", h: "c", hbs: "handlebars", hpp: "cpp", hs: "haskell", htm: "xml", html: "xml",
  jinja: "django", jinja2: "django", jl: "julia", js: "javascript", json5: "json", jsonc: "json", jsonl: "json", jsx: "javascript",
  kt: "kotlin", kts: "kotlin", make: "makefile", md: "markdown", mjs: "javascript", ml: "ocaml", mts: "typescript",
  objc: "objectivec", patch: "diff", pl: "perl", plsql: "sql", postgres: "pgsql", postgresql: "pgsql", proto: "protobuf", ps1: "powershell",
  pwsh: "powershell", py: "python", py3: "python", pycon: "python-repl", python3: "python", rb: "ruby", rs: "rust", sass: "scss",
  scm: "scheme", sh: "bash", shellsession: "shell", sqlite: "sql", sv: "verilog", svelte: "xml", svg: "xml", terraform: "ini", tex: "latex",
  text: "plaintext", tf: "ini", toml: "ini", ts: "typescript", tsx: "typescript", txt: "plaintext", vb: "vbnet", vue: "xml", xhtml: "xml",
  yml: "yaml", zsh: "bash",
};
/** @type {Record<string, string[]>} Languages that are found inside others. */
const INSIDE = {
  xml: ["javascript", "css"], markdown: ["xml"], php: ["xml"], "php-template": ["xml", "php"], django: ["xml"], twig: ["xml"],
  handlebars: ["xml"], shell: ["bash"], "python-repl": ["python"], javascript: ["xml"], typescript: ["xml"],
};
/** @type {Map<string, Promise<unknown>>} */
const languages = new Map();

/** @param {string} name @returns {Promise<unknown>} settled when the language is known, or is known not to be there */
function learn(name) {
  let known = languages.get(name);
  if (!known) {
    known = import(`highlight.js/${name}`).then((module) => hljs.registerLanguage(name, module.default), () => {});
    languages.set(name, known);
  }
  return known;
}

/**
 * Colour the text of an element that says its language and will not change any more.
 * @param {Element} code
 */
export async function colour(code) {
  const text = code.textContent ?? "";
  const written = /^language-(.+)$/.exec(code.className)?.[1].toLowerCase() ?? "";
  const name = Object.hasOwn(ALIASES, written) ? ALIASES[written] : written;
  if (!name || name === "plaintext" || text.length > LONGEST) return;
  await Promise.all([name, ...(INSIDE[name] ?? [])].map(learn));
  if (!hljs.getLanguage(name)) return;
  await itsTurn();
  const { _emitter } = hljs.highlight(text, { language: name, ignoreIllegals: true });
  const fresh = _emitter.rootNode.children.map(nodeOf);
  await nobodySelects(code);
  // It may have gone on since, or have been taken away.
  if (code.isConnected && code.childElementCount === 0 && code.textContent === text) code.replaceChildren(...fresh);
}

/** @type {(() => void)[]} */
const waiting = [];
const idle = globalThis.requestIdleCallback ?? ((/** @type {() => void} */ run) => setTimeout(run, 16));

/**
 * One block after the other, each when there is nothing else to do: a page full of code must not keep the reader waiting.
 * @returns {Promise<void>}
 */
function itsTurn() {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) idle(next, { timeout: 300 });
  });
}

function next() {
  waiting[0]?.();
  waiting.shift();
  if (waiting.length) idle(next, { timeout: 300 });
}

/** @param {any} part  of what highlight.js found: a text, or parts with the name of what they are @returns {Node} */
function nodeOf(part) {
  if (typeof part === "string") return document.createTextNode(part);
  const span = document.createElement("span");
  const scope = String(part.scope ?? "").split(".")[0];
  if (/^[a-z_]+(-[a-z]+)*$/.test(scope)) span.className = `hl-${scope}`;
  span.append(...part.children.map(nodeOf));
  return span;
}

/** @param {Element} code @returns {Promise<void>} when no selection is in it that new nodes would take away */
function nobodySelects(code) {
  return new Promise((resolve) => {
    const look = () => {
      const selection = getSelection();
      if (selection && isSomething(selection) && selection.containsNode(code, true)) return;
      document.removeEventListener("selectionchange", look);
      resolve();
    };
    document.addEventListener("selectionchange", look);
    look();
  });
}

/** Not by isCollapsed, for which the browser lays out the page first. @param {Selection} selection */
function isSomething({ anchorNode, anchorOffset, focusNode, focusOffset }) {
  return anchorNode !== focusNode || anchorOffset !== focusOffset;
}
