"use strict";
// Shows the states of a run that the server sends.
(() => {
  const id = (name) => document.getElementById(name);
  const source = new EventSource(`/-/events?run=${encodeURIComponent(id("live").dataset.run)}`);
  source.addEventListener("message", (event) => {
    const state = JSON.parse(event.data);
    const running = state.ended === "running";
    id("state").textContent = running ? "running" : `ended: ${state.ended}`;
    id("seconds").textContent = `${state.seconds.toFixed(1)} s`;
    id("rate").textContent = state.rate.toLocaleString("en");
    for (const name of ["ok", "fail", "info"]) id(name).textContent = (state.outcomes[name] || 0).toLocaleString("en");
    id("open").textContent = state.open.toLocaleString("en");
    id("leader").textContent = state.leader ? `${state.leader} (term ${state.term})` : "unknown";
    id("faults").textContent = state.faults.join("; ") || "none";
    if (!running) source.close();
  });
  source.addEventListener("error", () => { id("state").textContent = "the connection to the server broke"; });
})();
