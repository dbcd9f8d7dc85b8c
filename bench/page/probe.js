// Runs before the page's own scripts and notes when it can be used, what keeps it from answering, and each frame.
(() => {
  const probe = window.probe = { usable: null, tasks: [], ours: [], frames: [], latencies: [], cls: 0 };
  const isOurs = (script) => script.sourceURL.includes("/static/");
  const watch = (type, take) => new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true });
  watch("longtask", (entry) => probe.tasks.push(entry.duration));
  watch("long-animation-frame", (entry) => {
    for (const script of entry.scripts) if (isOurs(script)) probe.ours.push([script.duration, script.invoker, script.sourceFunctionName]);
  });
  watch("layout-shift", (entry) => { if (!entry.hadRecentInput) probe.cls += entry.value; });

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
  probe.reset = () => Object.assign(probe, { tasks: [], ours: [], frames: [], latencies: [] });
})();
