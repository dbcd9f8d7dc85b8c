// What Django's own scripts leave out for screen readers.

addEventListener("load", () => {
  // The two lists of SelectFilter2 are made at the same moment: look when they are there.
  setTimeout(() => {
    // A name needs a role.
    for (const help of document.querySelectorAll(".help-tooltip[aria-label]:not([role])")) help.setAttribute("role", "img");
    // A field that searches while one types is beside the select that its label is for.
    for (const select of document.querySelectorAll("select.admin-autocomplete")) {
      const label = document.querySelector(`label[for="${select.id}"]`);
      const shown = document.getElementById(`select2-${select.id}-container`);
      if (!label || !shown) continue;
      label.id ||= `${select.id}_label`;
      shown.setAttribute("aria-labelledby", label.id);
      shown.closest("[role=combobox]")?.setAttribute("aria-labelledby", `${label.id} ${shown.id}`);
    }
  });
});
