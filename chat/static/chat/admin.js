// What Django's own scripts leave out for screen readers.

addEventListener("load", () => {
  // The two lists of SelectFilter2 are made at the same moment: look when they are there.
  setTimeout(() => {
    // A name needs a role.
    for (const help of document.querySelectorAll(".help-tooltip[aria-label]:not([role])")) help.setAttribute("role", "img");
  });
});
