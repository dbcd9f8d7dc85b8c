// As much of a document as the renderer needs, and the HTML of it.
class Node {
  childNodes = [];
  parentNode = null;

  get firstChild() {
    return this.childNodes[0] ?? null;
  }

  get nextSibling() {
    const siblings = this.parentNode?.childNodes ?? [];
    return siblings[siblings.indexOf(this) + 1] ?? null;
  }

  appendChild(node) {
    return this.insertBefore(node, null);
  }

  insertBefore(node, before) {
    node.parentNode?.removeChild(node);
    const index = before === null ? this.childNodes.length : this.childNodes.indexOf(before);
    if (index === -1) throw new Error("That node is not here.");
    this.childNodes.splice(index, 0, node);
    node.parentNode = this;
    return node;
  }

  removeChild(node) {
    const index = this.childNodes.indexOf(node);
    if (index === -1) throw new Error("That node is not here.");
    this.childNodes.splice(index, 1);
    node.parentNode = null;
    return node;
  }

  replaceChild(node, old) {
    this.insertBefore(node, old);
    return this.removeChild(old);
  }

  replaceChildren() {
    for (const node of [...this.childNodes]) this.removeChild(node);
  }
}

class Text extends Node {
  constructor(data) {
    super();
    this.data = data;
  }

  appendData(more) {
    this.data += more;
  }

  get html() {
    return escape(this.data);
  }
}

class Element extends Node {
  attributes = {};

  constructor(tag) {
    super();
    this.tag = tag;
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  get innerHTML() {
    return this.childNodes.map((node) => node.html).join("");
  }

  get html() {
    const names = Object.keys(this.attributes).sort();
    const attributes = names.map((name) => ` ${name}="${escape(this.attributes[name])}"`).join("");
    const end = ["br", "hr", "img"].includes(this.tag) ? "" : `</${this.tag}>`;
    return `<${this.tag}${attributes}>${this.innerHTML}${end}`;
  }
}

const escape = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

globalThis.document = {
  createElement: (tag) => new Element(tag),
  createTextNode: (data) => new Text(data),
};

export const root = () => new Element("div");
