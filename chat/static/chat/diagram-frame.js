// Inside the frame: draws what the page around it sends. The frame has no origin and may fetch nothing (chat/views/diagrams.py).
(() => {
  const { mermaid } = /** @type {any} */ (globalThis);
  const main = /** @type {HTMLElement} */ (document.querySelector("[data-drawing]"));
  const tell = (/** @type {object} */ message) => parent.postMessage(message, "*");
  let queue = Promise.resolve();

  /** @param {string} name of a token @returns {string} the colour that it is in this theme */
  function colour(name) {
    main.style.color = `var(${name})`;
    const found = getComputedStyle(main).color;
    main.style.color = "";
    return found;
  }

  function settings() {
    return {
      startOnLoad: false,
      securityLevel: "strict",
      suppressErrorRendering: true,
      maxTextSize: 50_000,
      theme: "base",
      fontFamily: getComputedStyle(main).fontFamily,
      themeVariables: {
        darkMode: document.documentElement.dataset.theme === "dark",
        background: colour("--code-bg"),
        mainBkg: colour("--surface-1"),
        primaryColor: colour("--surface-1"),
        primaryTextColor: colour("--text"),
        primaryBorderColor: colour("--text-3"),
        secondaryColor: colour("--accent-soft"),
        tertiaryColor: colour("--surface-2"),
        lineColor: colour("--text-2"),
        edgeLabelBackground: colour("--code-bg"),
        textColor: colour("--text"),
        titleColor: colour("--text"),
        noteBkgColor: colour("--warn-soft"),
        noteTextColor: colour("--text"),
        noteBorderColor: colour("--warn"),
      },
    };
  }

  /** @param {{source: string, isDark: boolean}} wanted */
  async function draw({ source, isDark }) {
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    try {
      mermaid.initialize(settings());
      const { svg } = await mermaid.render("drawing", source);
      // It went through DOMPurify, and a script in it would have neither an origin nor leave to run.
      main.innerHTML = svg;
      tell({ kind: "drawn", height: height() });
    } catch (error) {
      tell({ kind: "failed", reason: String(/** @type {any} */ (error)?.message ?? error) });
    }
  }

  const height = () => Math.ceil(main.getBoundingClientRect().height);

  addEventListener("message", ({ source, data }) => {
    if (source === parent) queue = queue.then(() => draw(data));
  });
  // A drawing may have links. They lead nowhere: the frame may show nothing else.
  addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("a")) event.preventDefault();
  }, { capture: true });
  new ResizeObserver(() => main.firstChild && tell({ kind: "resized", height: height() })).observe(main);
  tell({ kind: "ready" });
})();
