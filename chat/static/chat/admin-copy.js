// Buttons that copy a link; without scripts, or a clipboard, the fields can be selected.

for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("[data-copy]"))) {
  const field = document.getElementById(button.dataset.copy ?? "");
  if (!navigator.clipboard || !(field instanceof HTMLInputElement)) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      return; // it is selected: Ctrl+C copies it
    }
    button.textContent = button.dataset.done ?? "";
  });
}
