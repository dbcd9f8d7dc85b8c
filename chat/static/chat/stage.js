// Why an answer has no text yet: in which words, and when it is worth a word to a screen reader.

/** @typedef {{stage: string, position?: number | null, progress?: number | null}} Stage */

/**
 * @param {Stage} stage
 * @returns {[string, number?]} a key of STAGES in chat/wording.py, and the number in its words
 */
export function wordsOf({ stage, position, progress }) {
  if (stage === "queued" && position) return position === 1 ? ["waiting_next"] : ["waiting_at", position];
  if (stage === "queued") return ["waiting"];
  if (stage === "loading" && typeof progress === "number") return ["loading_at", Math.round(progress * 100)];
  return [stage];
}

/**
 * Whether somebody who listens wants to know: not every step of a queue or of a bar.
 * @param {Stage} before
 * @param {Stage} now
 */
export function isNews(before, now) {
  if (now.stage !== before.stage) return true;
  return now.stage === "queued" && Boolean(now.position) && (!before.position || (now.position === 1 && before.position !== 1));
}
