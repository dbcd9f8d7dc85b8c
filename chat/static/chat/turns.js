// The elements of turns, whatever is written in them.

/**
 * The turns in HTML that our own server made.
 * @param {string} html
 * @returns {HTMLElement[]}
 */
export function articlesOf(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  return Array.from(parsed.querySelectorAll("article[data-message]"), (article) => /** @type {HTMLElement} */ (document.adoptNode(article)));
}

/**
 * Give a turn what another one of the same message has around its text; what somebody types there stays.
 * @param {HTMLElement} article
 * @param {HTMLElement} fresh
 */
export function adopt(article, fresh) {
  const around = ":scope > :not(h2, [data-prose], .bubble, form)";
  const typed = article.querySelectorAll(":scope > [data-feedback-form]");
  for (const part of article.querySelectorAll(around)) part.remove();
  article.append(...fresh.querySelectorAll(around), ...typed);
}

/** Show the buttons that without a script would do nothing. @param {HTMLElement} root */
export function offerCopying(root) {
  for (const button of root.querySelectorAll("[data-copy]")) /** @type {HTMLElement} */ (button).hidden = false;
}

/** @param {HTMLElement} article */
export const idOf = (article) => Number(article.dataset.message);
