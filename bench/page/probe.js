// Runs before the page's own scripts and notes when the page can be used, each frame, and how soon a key is seen.
(() => {
  const probe = window.probe = { usable: null, frames: [], latencies: [], shift: 0 };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) probe.shift += entry.value;
  }).observe({ type: "layout-shift", buffered: true });

  // Usable: the newest turn is in view (where there is one), and its own script has taken over the message field.
  const isUsable = () => {
    const field = document.querySelector("textarea");
    if (!field || field.disabled || !customElements.get("chat-composer")) return false;
    const turns = document.querySelectorAll("[data-turns] > .turn");
    if (!turns.length) return !document.querySelector("[data-turns]");
    const { top, bottom, height } = turns[turns.length - 1].getBoundingClientRect();
    return height > 0 && bottom > 0 && top < innerHeight;
  };
  let last = performance.now();
  const frame = (now) => {
    probe.frames.push(now - last);
    last = now;
    // What was painted in this frame can be seen after it.
    if (probe.usable === null && isUsable()) setTimeout(() => { probe.usable ??= performance.now(); });
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  addEventListener("keydown", (event) => {
    requestAnimationFrame(() => setTimeout(() => probe.latencies.push(performance.now() - event.timeStamp)));
  }, { capture: true });
  probe.reset = () => Object.assign(probe, { frames: [], latencies: [] });
})();
