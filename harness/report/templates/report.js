"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const read = (id) => (byId(id) ? JSON.parse(byId(id).textContent) : null);
  const spans = read("spans") || { event: [] };
  const faults = read("fault-words") || {};
  const placeOf = new Map(spans.event.map((event, place) => [event, place]));

  // --- colours: text and grid have the colours of the page, light or dark ------------
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const template = () => {
    const axis = {
      gridcolor: colour("--grid"), linecolor: colour("--line"), tickcolor: colour("--line"),
      zerolinecolor: colour("--line"), automargin: false,
    };
    return {
      layout: {
        font: { family: colour("--sans"), size: 11, color: colour("--ink") },
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        xaxis: axis, yaxis: axis, legend: { bgcolor: "rgba(0,0,0,0)" },
        hoverlabel: { bgcolor: colour("--panel"), bordercolor: colour("--soft"), font: { color: colour("--ink"), size: 12 } },
        modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--line"), activecolor: colour("--soft") },
      },
    };
  };
  const config = {
    responsive: true, displaylogo: false, scrollZoom: false, doubleClick: "reset",
    modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
  };
  const webgl = (() => {
    try { return Boolean(document.createElement("canvas").getContext("webgl")); } catch { return false; }
  })();

  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const unescaped = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");

  // --- tooltips -----------------------------------------------------------------------
  const ms = (us) => (us / 1000).toLocaleString("en", { maximumSignificantDigits: 4 }) + " ms";
  const fieldsOf = (place) => {
    const took = spans.took_us[place];
    const returned = spans.returned[place];
    return [
      ["request", spans.request[place]],
      [spans.outcome[place] === "ok" ? "answer" : spans.outcome[place], spans.result[place]],
      ["node", spans.node[place] || "not recorded"],
      ["process", String(spans.process[place])],
      ["invoked", (spans.call_us[place] / 1e6).toFixed(6) + " s"],
      ["took", took === null ? "never ended" : ms(took)],
      ["events", spans.event[place] + (returned === null ? "" : ", " + returned)],
    ];
  };
  const fill = (element, fields) => {
    const grid = document.createElement("div");
    grid.className = "fields";
    for (const [name, value] of fields) {
      for (const text of [name, value]) {
        const cell = document.createElement("span");
        cell.textContent = text;
        grid.append(cell);
      }
    }
    element.replaceChildren(grid);
  };
  const tip = byId("tip");
  const pointed = (event) => {
    for (const point of [...event.points].reverse()) {
      const data = point.customdata;
      if (Array.isArray(data) && data[0] === "note") return [["note", data[1]]];
      if (Array.isArray(data) && data[0] === "fault") return [["fault", faults[data[1]] || String(data[1])]];
      if (placeOf.has(Number(data))) return fieldsOf(placeOf.get(Number(data)));
    }
    return null;
  };
  const showTip = (event) => {
    const fields = pointed(event);
    if (!fields || !event.event) return;
    fill(tip, fields);
    tip.style.display = "block";
    const { clientX: x, clientY: y } = event.event;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 8)) + "px";
    tip.style.top = Math.max(4, y + 16 + box.height > innerHeight ? y - box.height - 12 : y + 16) + "px";
  };
  const hideTip = () => { tip.style.display = "none"; };
  const keep = (event) => {
    const fields = pointed(event);
    if (fields && byId("picked")) fill(byId("picked"), fields);
  };

  // --- figures, drawn as they come into view ------------------------------------------
  const drawn = new Map();
  let range = null;
  const draw = (element) => {
    if (drawn.has(element)) return drawn.get(element);
    const source = document.querySelector('script[data-for="' + element.id + '"]');
    if (!source) return null;
    const figure = JSON.parse(source.textContent);
    if (!webgl) for (const trace of figure.data) if (trace.type === "scattergl") trace.type = "scatter";
    figure.layout.template = template();
    for (const trace of figure.data) if (trace.meta === "ink") trace.insidetextfont.color = colour("--ink");
    const wide = element.classList.contains("wide") && structuredClone(figure);
    const promise = Plotly.newPlot(element, figure.data, figure.layout, config).then(() => {
      element.on("plotly_hover", showTip);
      element.on("plotly_unhover", hideTip);
      element.on("plotly_click", keep);
      if (wide) fitAlways(element, wide);
      if (!("time" in element.dataset)) return undefined;
      element.on("plotly_relayout", (change) => follow(element, change));
      // Zoom after the first drawing, so that a double-click returns to the whole run.
      return range ? Plotly.relayout(element, { "xaxis.range": range.slice() }) : undefined;
    });
    drawn.set(element, promise);
    return promise;
  };
  // Bars and labels of an anomaly's picture are cut to the visible part of the axis, and the
  // ticks are thinned out, because plotly would draw labels and ticks over each other.
  const pen = document.createElement("canvas").getContext("2d");
  const fitted = (label, room) => {
    pen.font = "11px " + colour("--sans");
    if (pen.measureText(label).width <= room) return label;
    let count = Math.min(label.length - 1, Math.floor(room / 4));
    while (count > 0 && pen.measureText(label.slice(0, count) + "…").width > room) count -= 1;
    return count < 3 ? "" : label.slice(0, count) + "…";
  };
  const labelPadPx = 10, tickPx = 78;
  const fit = (element, whole) => {
    const axis = element._fullLayout.xaxis;
    const [low, high] = axis.range.map(Number);
    const pxPerUnit = axis._length / (high - low);
    const change = { base: [], x: [], text: [] }, places = [];
    whole.traces.forEach((trace, place) => {
      if (!trace) return;
      const begins = trace.base.map((at) => Math.max(at, low));
      const lengths = trace.x.map((length, at) => Math.max(0, Math.min(trace.base[at] + length, high) - begins[at]));
      places.push(place);
      change.base.push(begins);
      change.x.push(lengths);
      change.text.push(trace.text.map((label, at) => label.split("<br>")
        .map((line) => plain(fitted(unescaped(line), lengths[at] * pxPerUnit - labelPadPx))).join("<br>")));
    });
    if (places.length) Plotly.restyle(element, change, places);
    if (!whole.ticks) return;
    const shown = [];
    whole.ticks.forEach((at, place) => {
      if (at < low || at > high) return;
      if (!shown.length || (at - whole.ticks[shown.at(-1)]) * pxPerUnit >= tickPx) shown.push(place);
    });
    element.layout.xaxis.tickvals = shown.map((place) => whole.ticks[place]);
    element.layout.xaxis.ticktext = shown.map((place) => whole.words[place]);
    Plotly.redraw(element);
  };
  const fitAlways = (element, figure) => {
    const whole = {
      traces: figure.data.map((trace) => (trace.type === "bar" && trace.text ? { base: trace.base, x: trace.x, text: trace.text } : null)),
      ticks: figure.layout.xaxis.tickvals, words: figure.layout.xaxis.ticktext,
    };
    fit(element, whole);
    let width = element._fullLayout.xaxis._length;
    let range = String(element._fullLayout.xaxis.range);
    element.on("plotly_afterplot", () => {
      const axis = element._fullLayout.xaxis;
      if (axis._length === width && String(axis.range) === range) return;
      [width, range] = [axis._length, String(axis.range)];
      fit(element, whole);
    });
  };
  const all = [...document.querySelectorAll(".figure")].filter((element) => element.id !== "waterfall");
  const timed = all.filter((element) => "time" in element.dataset);
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { watcher.unobserve(entry.target); draw(entry.target); }
  }, { rootMargin: "800px" });
  all.forEach((element) => watcher.observe(element));
  addEventListener("beforeprint", () => all.filter((element) => element.offsetParent).forEach(draw));

  const recolour = async (element) => {
    const inked = element.data.flatMap((trace, place) => (trace.meta === "ink" ? [place] : []));
    if (inked.length) await Plotly.restyle(element, { "insidetextfont.color": colour("--ink") }, inked);
    await Plotly.relayout(element, { template: template() });
  };

  // --- zooming one figure zooms all figures over the time of the run ------------------
  let following = false;
  const follow = (from, change) => {
    if (following) return;
    const low = change["xaxis.range[0]"] ?? (change["xaxis.range"] || [])[0];
    const high = change["xaxis.range[1]"] ?? (change["xaxis.range"] || [])[1];
    if (low === undefined || high === undefined) return;
    zoom(low, high, from);
  };
  // Each figure is drawn in a task of its own, so that the page answers in between. A newer zoom
  // replaces the figures that an older one has not drawn yet.
  const nextTask = () => new Promise((resolve) => { setTimeout(resolve); });
  const zoom = async (low, high, except) => {
    const own = [low, high];
    range = own;
    for (const element of timed.filter((one) => one !== except && drawn.has(one))) {
      await nextTask();
      await drawn.get(element);
      if (range !== own) return;
      following = true;
      try { await Plotly.relayout(element, { "xaxis.range": own.slice() }); } finally { following = false; }
    }
  };
  for (const button of document.querySelectorAll("button[data-zoom]")) {
    button.addEventListener("click", () => {
      const [low, high] = button.dataset.zoom.split(",").map((ns) => Number(ns) / 1e9);
      const pad = Math.max((high - low) * 0.25, 0.02);
      zoom(low - pad, high + pad, null);
      byId("operations").scrollIntoView({ behavior: "smooth" });
    });
  }

  // --- pictures of anomalies: in order or to scale ------------------------------------
  const shell = (id) => byId(id).closest("[data-shell]");
  for (const button of document.querySelectorAll("button[data-show]")) {
    button.addEventListener("click", () => {
      const shown = byId(button.dataset.show);
      shell(button.dataset.show).hidden = false;
      shell(button.dataset.hide).hidden = true;
      for (const other of button.parentElement.querySelectorAll("button[data-show]"))
        other.setAttribute("aria-pressed", String(other === button));
      Promise.resolve(draw(shown)).then(() => Plotly.Plots.resize(shown));
    });
  }

  // --- the waterfall of a write ---------------------------------------------------------
  const palette = ["#2b83c6", "#d98a1e", "#0f9d78", "#b4649e", "#7a7f87", "#6f74d8", "#a0714f"];
  const writes = read("waterfall-data");
  const choice = byId("write-choice");
  const duration = (value) => Number(value.toPrecision(3)) + " ms";
  const waterfall = () => {
    const { bars, carrier } = writes.writes[Number(choice.value)];
    const carried = (step) => carrier && (step === "client_request" || step === "respond") ? " (" + carrier + ")" : "";
    const name = ([step, member]) => plain(writes.numbers[step] + "  " + step + carried(step) + " · " + member);
    const traces = writes.members.map((member, place) => {
      const own = bars.filter((bar) => bar[1] === member);
      return {
        type: "bar", orientation: "h", name: plain(member), y: own.map(name),
        base: own.map((bar) => bar[2]), x: own.map((bar) => bar[3] - bar[2]),
        text: own.map((bar) => " " + duration(bar[3] - bar[2])), textposition: "outside",
        customdata: own.map((bar) => bar[3].toFixed(3)),
        hovertemplate: "%{y}<br>done %{customdata} ms after the client's request,%{text} after the previous step<extra></extra>",
        marker: { color: palette[place % palette.length], line: { color: palette[place % palette.length], width: 1.5 } },
        textfont: { color: colour("--soft"), size: 10 },
      };
    });
    const ends = bars.filter((bar) => bar[0] !== "backend_flush").map((bar) => bar[3]);
    const longest = Math.max(0.001, ...(ends.length ? ends : bars.map((bar) => bar[3])));
    const layout = {
      template: template(), height: 84 + 19 * bars.length, barmode: "overlay", bargap: 0.35,
      margin: { l: 190, r: 18, t: 30, b: 40 }, hovermode: "closest",
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom" },
      xaxis: { title: { text: "ms since the client's request (the backend is flushed later, in batches)", standoff: 6 }, range: [-0.01 * longest, 1.1 * longest], zeroline: false },
      yaxis: { categoryorder: "array", categoryarray: bars.map(name), autorange: "reversed", fixedrange: true },
    };
    Plotly.react(byId("waterfall"), traces.filter((trace) => trace.y.length), layout, config);
  };
  if (writes && choice && writes.writes.length) {
    choice.addEventListener("change", waterfall);
    for (const button of document.querySelectorAll("button[data-step]")) {
      button.addEventListener("click", () => {
        const next = choice.selectedIndex + Number(button.dataset.step);
        if (next >= 0 && next < choice.options.length) { choice.selectedIndex = next; waterfall(); }
      });
    }
    waterfall();
  }

  // --- dark mode and the copy button ----------------------------------------------------
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const [element, promise] of drawn) promise.then(() => recolour(element));
    if (writes && choice) waterfall();
  });
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", async () => {
      const source = byId(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
      } catch {
        getSelection().selectAllChildren(source);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
})();
