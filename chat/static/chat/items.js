// Tokens of markdown as the elements that stand for them, from an allowlist; nodes are made of them in chat/markdown.
//
// The server (chat/markdown/html.py) makes the same elements of the same text:
//   paragraph        <p>; in a tight list its content stands in the <li> itself
//   heading          <h1> … <h6>
//   bullet list      <ul><li>…; a task is <li class="task"><span class="box">☐</span> … or <span class="box done">☑
//   ordered list     <ol start="N"><li>… (start only if it is not 1)
//   quote            <blockquote>
//   rule             <hr>
//   code             <div class="code"><header><span>LANGUAGE</span></header><pre><code class="language-LANGUAGE">TEXT
//                    LANGUAGE is the first word after the fence as it is written; without one, the span is empty and
//                    the code has no class. Buttons are added by chat/decorate, here only.
//   table            <div class="tbl"><table><thead><tr><th>…<tbody><tr><td>…
//                    aligned cells have class="left", "center" or "right"
//   maths            <span class="math">TEX, <span class="math display">, on lines of its own <div class="math display">;
//                    chat/decorate has it drawn
//   *, **, ~~, `     <em>, <strong>, <s>, <code>
//   line break       <br> and a newline; a soft one is a newline in the text
//   link             <a href title rel="noopener noreferrer nofollow">; without href if that is not http, https, mailto,
//                    tel or a path of this site (one slash and no second one)
//   image            of this site (a path), or pixels in the text itself (data:): <img src alt>; of another host: a link
//                    <a class="image" target="_blank"> with the alternative text and <small>HOST, or the address; inside
//                    a link: the text alone
//   HTML             text

/**
 * An element or, with `tag` null, a text; `node` is what stands for it on the page. The inside of a `sealed` one is not
 * ours alone: it is made anew or left as it is.
 * @typedef {{tag: string | null, attributes: Record<string, string>, children: Item[], text: string, node: any,
 *   sealed?: string}} Item
 * @typedef {import("./grammar.js").Token} Token
 */

const BLOCKS = new Set([
  "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "hr",
  "table", "thead", "tbody", "tr", "th", "td", "em", "strong", "s", "br",
]);
const REL = "noopener noreferrer nofollow";
const PICTURE = /^data:image\/(?:png|gif|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}$/;
const HOST = /^https?:\/\/(?:[^/?#]*@)?([^/?#@:]+)/i;

/** @param {string} address */
const isPath = (address) => /^\/(?![/\\])/.test(address);

/** @param {string} address */
const isSafe = (address) => /^(https?|mailto|tel):/i.test(address) || isPath(address);

/** @returns {Item} */
const element = (/** @type {string} */ tag, /** @type {Record<string, string>} */ attributes = {}, /** @type {Item[]} */ children = []) => ({
  tag, attributes, children, text: "", node: null,
});

/** @returns {Item} */
const words = (/** @type {string} */ text) => ({ tag: null, attributes: {}, children: [], text, node: null });

/**
 * @param {string} address
 * @param {string | null} title
 * @param {Item[]} children
 */
function link(address, title, children) {
  /** @type {Record<string, string>} */
  const attributes = { rel: REL };
  if (isSafe(address)) attributes.href = address;
  if (title) attributes.title = title;
  return element("a", attributes, children);
}

/** @param {Token[]} tokens @returns {string} */
function plainText(tokens) {
  return tokens.map((token) => {
    if (token.type === "image") return plainText(token.children ?? []);
    if (token.type === "softbreak" || token.type === "hardbreak") return "\n";
    return token.content;
  }).join("");
}

/**
 * @param {Token} token
 * @param {boolean} insideLink
 */
function image(token, insideLink) {
  const source = token.attrGet("src") ?? "";
  const alternative = plainText(token.children ?? []);
  if (isPath(source) || PICTURE.test(source)) return element("img", { src: source, alt: alternative });
  if (insideLink) return words(alternative || source);
  const item = link(source, null, [words(alternative || source)]);
  const host = HOST.exec(source);
  if (!host) return item;
  // What is behind it is fetched by a click and in a page of its own, never by this one.
  Object.assign(item.attributes, { class: "image", target: "_blank" });
  if (alternative) item.children.push(words(" "), element("small", {}, [words(host[1])]));
  return item;
}

/** @param {Token} token */
function code(token) {
  const language = token.type === "fence" ? (token.info.trim().split(/\s+/)[0] ?? "") : "";
  return element("div", { class: "code" }, [
    element("header", {}, [element("span", {}, language ? [words(language)] : [])]),
    element("pre", {}, [element("code", language ? { class: `language-${language}` } : {}, [words(token.content)])]),
  ]);
}

/** @param {Token} token @returns {Item} */
function maths(token) {
  const isDisplayed = token.type === "math_block" || token.markup === "$$" || token.markup === "\\[";
  const css = ["math", ...(isDisplayed ? ["display"] : []), ...(token.info ? [token.info] : [])].join(" ");
  const item = element(token.tag, { class: css }, [words(token.content)]);
  // What is being typed grows as text does; what is whole may be drawn.
  return token.info ? item : { ...item, sealed: token.content };
}

/** @param {Token} token */
function opened(token) {
  if (token.type === "link_open") return link(token.attrGet("href") ?? "", token.attrGet("title"), []);
  /** @type {Record<string, string>} */
  const attributes = {};
  const start = token.attrGet("start");
  if (token.tag === "ol" && start !== null) attributes.start = String(start);
  const alignment = /text-align:(left|center|right)/.exec(token.attrGet("style") ?? "");
  if (alignment) attributes.class = alignment[1];
  if (token.tag === "li" && token.attrGet("class") === "task") attributes.class = "task";
  return element(token.tag, attributes);
}

/**
 * @param {Token} token  that stands for itself
 * @param {boolean} insideLink
 * @returns {Item[] | null}  null if it does not
 */
function whole(token, insideLink) {
  switch (token.type) {
    case "inline": return itemsOf(token.children ?? []);
    case "fence":
    case "code_block": return [code(token)];
    case "code_inline": return [element("code", {}, [words(token.content)])];
    case "math_block":
    case "math_inline": return [maths(token)];
    case "task_box": return [element("span", { class: token.content === "☐" ? "box" : "box done" }, [words(token.content)]), words(" ")];
    case "image": return [image(token, insideLink)];
    case "softbreak": return [words("\n")];
    case "hardbreak": return [element("br"), words("\n")];
    case "hr": return [element("hr")];
    default: return null;
  }
}

/**
 * @param {Token[]} tokens
 * @returns {Item[]}
 */
export function itemsOf(tokens) {
  const root = element("root");
  const path = [root];
  let links = 0;
  for (const token of tokens) {
    const parent = path[path.length - 1];
    const items = whole(token, links > 0);
    if (items) parent.children.push(...items);
    else if (token.hidden) continue;
    else if (token.nesting === 0 && token.content) parent.children.push(words(token.content));
    else if (!BLOCKS.has(token.tag) && !token.type.startsWith("link_")) continue;
    else if (token.nesting === 1) {
      const item = opened(token);
      links += token.type === "link_open" ? 1 : 0;
      parent.children.push(token.tag === "table" ? element("div", { class: "tbl" }, [item]) : item);
      path.push(item);
    } else if (token.nesting === -1) {
      links -= token.type === "link_close" ? 1 : 0;
      path.pop();
    }
  }
  return joined(root.children);
}

/** @param {Item[]} items @returns {Item[]} the same with neighbouring texts as one, so that a text only ever grows */
function joined(items) {
  /** @type {Item[]} */
  const result = [];
  for (const item of items) {
    const last = result[result.length - 1];
    if (item.tag === null && last?.tag === null) last.text += item.text;
    else result.push(item);
    item.children = joined(item.children);
  }
  return result;
}
