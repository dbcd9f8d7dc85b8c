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

/** Seconds without a word after which it is worth to say how long it has been, and what one can do. */
export const PATIENCE = 4;
/** Seconds after which something may be wrong. */
export const TOO_LONG = 60;

/**
 * What somebody can do who waits.
 * @param {Stage} stage
 * @param {number} seconds  since the question was sent
 * @returns {string} a key of REMEDIES in chat/wording.py; empty as long as nothing need be said
 */
export function remedyFor({ stage, position }, seconds) {
  // Who stands in a queue, or waits for a model that is being loaded, is told how far it is.
  const isExplained = stage === "loading" || (stage === "queued" && Boolean(position));
  if (isExplained) return stage === "loading" ? "while_loading" : "while_waiting";
  if (seconds >= TOO_LONG) return "too_long";
  if (seconds < PATIENCE) return "";
  return stage === "reading" ? "while_reading" : "while_waiting";
}

/** @param {number} seconds @returns {string} such as 0:07, 1:30 or 1:02:03 */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
