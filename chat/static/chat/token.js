// The token that proves that a form is ours. Who signs in again, in another tab, gets another one.
import { say } from "chat/page";

const NAME = "[name=csrfmiddlewaretoken]";

/**
 * Give all forms of this page the token of the person who is signed in now, if that is still the same one.
 * @param {string} home  a page that has it
 * @param {string} person  who this page belongs to
 * @returns {Promise<{status: number, reason: string} | null>} why not; null if it is done
 */
export async function renewToken(home, person) {
  const response = await fetch(home).catch(() => null);
  if (!response?.ok) return { status: response?.status ?? 0, reason: say("server_error") };
  if (response.redirected) return { status: 401, reason: say("signed_out") };
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const composer = page.querySelector("chat-composer");
  const token = /** @type {HTMLInputElement | null | undefined} */ (composer?.querySelector(NAME))?.value;
  if (!token) return { status: 500, reason: say("server_error") };
  if (composer?.getAttribute("data-person") !== person) return { status: 403, reason: say("somebody_else") };
  for (const input of document.querySelectorAll(NAME)) /** @type {HTMLInputElement} */ (input).value = token;
  return null;
}
