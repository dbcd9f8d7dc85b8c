// Lets Node find modules as the import map lets browsers: ours by `chat/name`, the others in frontend/node_modules.
import { register } from "node:module";

register(`data:text/javascript,${encodeURIComponent(`
  const root = ${JSON.stringify(new URL("../../", import.meta.url).href)};
  export function resolve(specifier, context, next) {
    if (specifier.startsWith("chat/")) return next(root + "chat/static/" + specifier + ".js", context);
    if (/^[a-z]/.test(specifier) && !specifier.startsWith("node:")) {
      return next(specifier, { ...context, parentURL: root + "frontend/package.json" });
    }
    return next(specifier, context);
  }
  export async function load(url, context, next) {
    const isOurs = url.startsWith(root + "chat/static/");
    return next(url, isOurs ? { ...context, format: "module" } : context);
  }
`)}`);
