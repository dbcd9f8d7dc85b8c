// The resume rule of a reader, without a page: what to do with a piece of text that arrives.
//
// Offsets and lengths count Unicode code points, as Python does, not the UTF-16 units of JavaScript.

/**
 * @typedef {object} Delta
 * @property {number} message
 * @property {number} offset  length of the text before this piece
 * @property {string} text
 */

/**
 * @param {string} text
 * @returns {number} how many code points it has
 */
export function lengthOf(text) {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

/** The text of one message as far as this page has heard it. */
export class Reader {
  /** @param {string} [text] */
  constructor(text = "") {
    this.replace(text);
  }

  /**
   * Take the whole text from a snapshot.
   * @param {string} text
   */
  replace(text) {
    this.text = text;
    this.length = lengthOf(text);
  }

  /**
   * Append what is new in a delta; what is known already is skipped.
   * @param {{offset: number, text: string}} delta
   * @returns {boolean} false if something between is missing: nothing was changed, fetch the snapshot
   */
  read(delta) {
    if (delta.offset > this.length) return false;
    const known = this.length - delta.offset;
    const points = known === 0 ? null : Array.from(delta.text);
    const fresh = points ? points.slice(known).join("") : delta.text;
    this.text += fresh;
    this.length += points ? Math.max(points.length - known, 0) : lengthOf(fresh);
    return true;
  }
}
