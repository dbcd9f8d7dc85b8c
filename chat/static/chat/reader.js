// The resume rule of a reader, without a page: what docs/streaming.md says, in JavaScript.
//
// Offsets and lengths count Unicode code points, as Python does, not the UTF-16 units of JavaScript.

/**
 * @typedef {{offset: number, text: string}} Delta  offset: length of the text before this piece
 * @typedef {{message: number, parent: number | null, generation: string | null}} Created
 * @typedef {{id: number, text: string, status: string | null}} Stored  a message of a snapshot
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

/** @param {string | null} status  of a generation; null is a question's */
export const isUnfinished = (status) => status === "queued" || status === "in_progress";

/** The text of one message as far as this page has heard it. */
export class Reader {
  /** When it was last heard of, by the clock of the branch. */
  heardAt = 0;

  /** @param {string} [text] @param {boolean} [isOver] */
  constructor(text = "", isOver = false) {
    this.replace(text, isOver);
  }

  /** @param {string} text  all that is stored @param {boolean} isOver */
  replace(text, isOver) {
    this.text = text;
    this.length = lengthOf(text);
    /** @type {number | null} the length that it has in the end; null while it is written */
    this.end = isOver ? this.length : null;
    /** @type {Delta[]} pieces before which something is missing */
    this.ahead = [];
  }

  get isOver() {
    return this.end !== null;
  }

  /** Whether the page has what it has heard of. */
  get isWhole() {
    return this.ahead.length === 0 && (this.end === null || this.end === this.length);
  }

  /** @param {Delta} delta  of which is appended what is new, now or when the gap before it is closed */
  read(delta) {
    this.ahead.push(delta);
    for (let next = 0; next !== -1;) {
      next = this.ahead.findIndex(({ offset }) => offset <= this.length);
      if (next !== -1) this.append(this.ahead.splice(next, 1)[0]);
    }
  }

  /** @param {Delta} delta */
  append({ offset, text }) {
    const known = this.length - offset;
    const fresh = known > 0 ? Array.from(text).slice(known).join("") : text;
    this.text += fresh;
    this.length += lengthOf(fresh);
    // It was continued.
    if (this.end !== null && this.length > this.end) this.end = null;
  }

  /**
   * Take a snapshot. One that was asked for after all that was heard holds it; another one may be older than that.
   * @param {string} text
   * @param {boolean} isOver
   * @param {number} askedAt
   * @returns {boolean} false if another one must be asked for
   */
  take(text, isOver, askedAt) {
    if (this.heardAt <= askedAt) {
      this.replace(text, isOver);
      return true;
    }
    if (text.startsWith(this.text)) this.read({ offset: 0, text });
    else if (!this.text.startsWith(text)) return false;
    // An end that the text has passed was the one of an earlier run.
    if (this.end !== null && this.length > this.end) this.end = isOver ? lengthOf(text) : null;
    return this.isOver === isOver;
  }
}

/** The shown branch of a conversation as far as this page has heard of it. */
export class Branch {
  /** @type {Map<number, Reader>} by message, on whatever branch */
  known = new Map();
  /** @type {number[]} the messages of the branch, oldest first */
  ids = [];
  /** Events were missed, and no snapshot that was asked for since has come. */
  isStale = false;
  isOpen = false;
  /** Counts what is heard. */
  now = 0;
  /** When the branch last took another way. */
  turnedAt = 0;

  /** @param {number} id @returns {Reader | undefined} undefined if it is not on the branch */
  reader(id) {
    return this.ids.includes(id) ? this.known.get(id) : undefined;
  }

  get readers() {
    return this.ids.map((id) => /** @type {Reader} */ (this.known.get(id)));
  }

  get needsSnapshot() {
    return this.isStale || !this.readers.every((reader) => reader.isWhole);
  }

  get isRunning() {
    return !this.readers.every((reader) => reader.isOver);
  }

  /** @returns {number | null} the message at its end */
  get newest() {
    return this.ids.at(-1) ?? null;
  }

  /**
   * Take an event of the stream.
   * @param {string} kind
   * @param {any} [data]
   */
  hear(kind, data) {
    this.now += 1;
    // Where a message is gone, what is shown instead is in the snapshot.
    if (kind === "stream-reset" || kind === "message.deleted") this.isStale = true;
    else if (kind === "stream-open") this.open();
    else if (kind === "message.created") this.created(data);
    else if (typeof data?.message === "number") this.hearOf(kind, data);
  }

  /** A connection that broke may have taken with it what its last id counts as heard. */
  open() {
    if (this.isOpen && this.isRunning) this.isStale = true;
    this.isOpen = true;
  }

  /** @param {Created} created */
  created({ message, parent, generation }) {
    if (this.known.has(message)) return;
    // Heard late or again: ids grow, and what was created last is shown.
    if (message < Math.max(...this.ids)) this.of(message);
    else if (parent !== null && !this.ids.includes(parent)) this.isStale = true;
    // The text of a question is in no event.
    else if (generation === null) this.put(message, parent).end = Infinity;
    else this.put(message, parent);
  }

  /** The reader turns to another branch: a snapshot that was asked for before may show the one that was left. */
  turn() {
    this.now += 1;
  }

  /**
   * Put a message after another one, or first; what stood there belongs to another branch now.
   * @param {number} message
   * @param {number | null} parent
   * @returns {Reader}
   */
  put(message, parent) {
    this.ids = [...this.ids.slice(0, parent === null ? 0 : this.ids.indexOf(parent) + 1), message];
    this.turnedAt = this.now;
    return this.of(message);
  }

  /** @param {number[]} older  what comes before the first one, oldest first */
  putBefore(older) {
    this.ids = [...older, ...this.ids];
    for (const id of older) this.of(id);
  }

  /** @param {string} kind @param {any} data */
  hearOf(kind, data) {
    if (!this.known.has(data.message)) this.isStale = true;
    const reader = this.of(data.message);
    reader.heardAt = this.now;
    if (kind === "message.delta") reader.read(data);
    else if (kind === "message.finished") {
      // Moderation put other words in its place: nothing of what is here is part of it.
      if (data.replaced) reader.replace("", false);
      reader.end = data.length;
    }
    else if (kind === "message.continued") reader.end = null;
  }

  /** @param {number} message @returns {Reader} */
  of(message) {
    const reader = this.known.get(message) ?? new Reader();
    this.known.set(message, reader);
    return reader;
  }

  /** @returns {number} when the snapshot was asked for, to be handed over with it */
  ask() {
    this.isStale = false;
    return this.now;
  }

  /** No snapshot came. */
  fail() {
    this.isStale = true;
  }

  /** @param {Stored[]} snapshot  the newest part of the shown branch @param {number} askedAt */
  take(snapshot, askedAt) {
    const ids = snapshot.map(({ id }) => id);
    const first = Math.max(this.ids.indexOf(ids[0]), 0);
    if (this.turnedAt <= askedAt) this.ids = [...this.ids.slice(0, first), ...ids];
    else if (this.ids.slice(first).join() !== ids.join()) this.isStale = true;
    for (const { id, text, status } of snapshot) {
      if (!this.of(id).take(text, !isUnfinished(status), askedAt)) this.isStale = true;
    }
  }
}
