// Code of an answer as a file on the reader's machine.

/** @type {Record<string, string>} where it is not the name of the language itself */
const EXTENSIONS = {
  "c#": "cs", "c++": "cpp", "f#": "fs", apache: "conf", assembly: "asm", bash: "sh", clojure: "clj", console: "sh", csharp: "cs",
  docker: "dockerfile", elixir: "ex", erlang: "erl", fortran: "f90", fsharp: "fs", golang: "go", haskell: "hs", javascript: "js",
  jinja: "html", jinja2: "html", julia: "jl", kotlin: "kt", latex: "tex", makefile: "mk", markdown: "md", matlab: "m", mermaid: "mmd",
  nginx: "conf", objectivec: "m", ocaml: "ml", perl: "pl", pgsql: "sql", plaintext: "txt", postgres: "sql", postgresql: "sql",
  powershell: "ps1", prolog: "pro", protobuf: "proto", python: "py", python3: "py", ruby: "rb", rust: "rs", shell: "sh", sqlite: "sql",
  terraform: "tf", text: "txt", typescript: "ts", verilog: "v", wasm: "wat", yaml: "yaml", zsh: "sh",
};
/** A comment in the first line that is the name of a file, perhaps with folders. */
const NAMED = /^(?:#|\/\/|--|;|%|\/\*|<!--)\s*(?:[\w.-]+\/)*([\w-][\w.-]*\.\w{1,10})\s*(?:\*\/|-->)?$/;

/**
 * @param {string} text
 * @param {string} language  as the fence names it
 * @param {number} number  of the block in its answer, from 1
 * @returns {string}
 */
export function fileName(text, language, number) {
  const named = NAMED.exec(text.split("\n", 1)[0].trim());
  if (named) return named[1];
  const name = language.toLowerCase();
  if (name === "dockerfile" || name === "docker") return "Dockerfile";
  if (name === "makefile" || name === "make") return "Makefile";
  const extension = Object.hasOwn(EXTENSIONS, name) ? EXTENSIONS[name] : /^[a-z0-9]{1,10}$/.test(name) ? name : "txt";
  return `code-${number}.${extension}`;
}

/** @param {HTMLElement} block  .code, which is saved under a name that says what it is */
export function save(block) {
  const text = block.querySelector("pre")?.textContent ?? "";
  const language = block.querySelector("header > span")?.textContent ?? "";
  const blocks = [...(block.closest("[data-prose]") ?? document).querySelectorAll(".code")];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  link.download = fileName(text, language, blocks.indexOf(block) + 1);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
