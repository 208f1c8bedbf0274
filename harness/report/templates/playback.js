"use strict";
// Plays a recording back. A moment is [us, member, role, term, leader, compacted, last, last term,
// durable, committed, applied, revision]; a message is [sent, source, target, text, arrived].
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const id = (name) => document.getElementById(name);
  const LOST_SHOWN_US = 200000, MESSAGES_SHOWN_MAX = 40, PLAY_MS = 120;
  const times = [...new Set([0, ...data.moments.map((one) => one[0]),
    ...data.messages.map((one) => one[0]), ...data.marks.map((one) => one[0])])].sort((a, b) => a - b);
  const own = new Map(data.members.map((name) => [name, data.moments.filter((one) => one[1] === name)]));
  const count = data.members.length;
  const places = new Map(data.members.map((name, at) => {
    const angle = 2 * Math.PI * at / count - Math.PI / 2;
    return [name, count === 1 ? [260, 200] : [260 + 190 * Math.cos(angle), 195 + 140 * Math.sin(angle)]];
  }));
  const lastBefore = (list, us, time) => {
    let low = 0, high = list.length;
    while (low < high) { const middle = (low + high) >> 1; if (time(list[middle]) <= us) low = middle + 1; else high = middle; }
    return low - 1;
  };
  const element = (name, attributes, text) => {
    const one = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) one.setAttribute(key, attributes[key]);
    if (text !== undefined) one.textContent = text;
    return one;
  };
  const row = (cells, changed) => {
    const line = document.createElement("tr");
    if (changed) line.className = "changed";
    cells.forEach(([text, numeric]) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      if (numeric) cell.className = "num";
      line.append(cell);
    });
    return line;
  };
  const inFlight = (us) => {
    const found = [];
    for (let at = lastBefore(data.messages, us, (one) => one[0]); at >= 0 && found.length < MESSAGES_SHOWN_MAX; at--) {
      const one = data.messages[at];
      if (us - one[0] > 5000000) break;
      if (one[4] === null ? us - one[0] < LOST_SHOWN_US : one[4] > us) found.push(one);
    }
    return found.reverse();
  };
  const drawCluster = (us, states, flying) => {
    const parts = [];
    data.members.forEach((a, at) => data.members.slice(at + 1).forEach((b) => {
      const [[x1, y1], [x2, y2]] = [places.get(a), places.get(b)];
      parts.push(element("line", {x1, y1, x2, y2}));
    }));
    flying.forEach((one) => {
      const [[x1, y1], [x2, y2]] = [places.get(one[1]), places.get(one[2])];
      const share = 0.15 + 0.7 * (one[4] === null ? 0.5 : (us - one[0]) / Math.max(1, one[4] - one[0]));
      const dot = element("circle", {cx: x1 + (x2 - x1) * share, cy: y1 + (y2 - y1) * share, r: 6, class: one[4] === null ? "lost" : "flying"});
      dot.append(element("title", {}, `${one[1]} to ${one[2]}: ${one[3]}`));
      parts.push(dot);
    });
    states.forEach((state, name) => {
      const [x, y] = places.get(name), role = state ? state[2] : "down";
      const group = element("g", {class: role});
      group.append(element("circle", {cx: x, cy: y, r: 42}), element("text", {x, y: y - 8}, name),
        element("text", {x, y: y + 8, class: "soft"}, role.replace("_", "-")));
      if (state && role !== "down") group.append(element("text", {x, y: y + 24, class: "soft"}, `term ${state[3]}`));
      parts.push(group);
    });
    id("cluster").replaceChildren(...parts);
  };
  let at = 0;
  const show = (position) => {
    at = Math.max(0, Math.min(times.length - 1, position));
    const us = times[at];
    id("slider").value = at;
    const text = `${(us / 1e6).toFixed(6)} s, change ${at + 1} of ${times.length}`;
    id("time").textContent = text;
    id("slider").setAttribute("aria-valuetext", text);
    const states = new Map(data.members.map((name) => {
      const list = own.get(name), place = lastBefore(list, us, (one) => one[0]);
      return [name, place < 0 ? null : list[place]];
    }));
    id("members").tBodies[0].replaceChildren(...data.members.map((name) => {
      const one = states.get(name);
      if (!one || one[2] === "down") return row([[name], ["down"]], one && one[0] === us);
      return row([[name], [one[2].replace("_", "-")], [one[3], true], [one[4] || "none"],
        [one[6] > one[5] ? `${one[5] + 1}…${one[6]}` : "empty", true], [one[8], true], [one[9], true], [one[10], true], [one[11], true]], one[0] === us);
    }));
    const flying = inFlight(us);
    drawCluster(us, states, flying);
    id("messages").replaceChildren(...flying.map((one) => {
      const item = document.createElement("li");
      item.textContent = `${one[1]} → ${one[2]}  ${one[3]}${one[4] === null ? "  (lost)" : ""}`;
      return item;
    }));
    const active = data.faults.filter((one) => one[0] <= us && (one[1] === null || one[1] > us)).map((one) => one[2]);
    id("faults").textContent = active.length ? `in force: ${active.join("; ")}` : "";
    drawAxis(us);
  };
  const drawAxis = (us) => {
    const axis = id("axis"), width = axis.clientWidth || 800, x = (time) => 8 + (width - 16) * time / Math.max(1, data.end);
    const parts = data.faults.map((one) => {
      const bar = element("rect", {x: x(one[0]), y: 3, width: Math.max(2, x(one[1] === null ? data.end : one[1]) - x(one[0])), height: 8, fill: "var(--unknown)", opacity: 0.55});
      bar.append(element("title", {}, one[2]));
      return bar;
    });
    parts.push(...data.marks.map((one) => {
      const mark = element("path", {d: `M${x(one[0])} 12l-5 9h10z`, fill: "var(--invalid)"});
      mark.append(element("title", {}, one[1]));
      return mark;
    }));
    parts.push(element("line", {x1: x(us), x2: x(us), y1: 0, y2: 24, stroke: "var(--link)", "stroke-width": 2}));
    axis.replaceChildren(...parts);
  };
  const goTo = (us) => show(lastBefore(times, us, (one) => one));
  const goToMark = (step) => {
    const marks = data.marks.map((one) => one[0]), us = times[at];
    const found = step > 0 ? marks.find((one) => one > us) : marks.filter((one) => one < us).pop();
    if (found !== undefined) goTo(found);
  };
  let playing = null;
  const stop = () => { clearInterval(playing); playing = null; id("play").setAttribute("aria-pressed", "false"); };
  id("slider").max = times.length - 1;
  id("slider").addEventListener("input", (event) => show(Number(event.target.value)));
  id("back").addEventListener("click", () => show(at - 1));
  id("next").addEventListener("click", () => show(at + 1));
  id("play").addEventListener("click", () => {
    if (playing !== null) return stop();
    id("play").setAttribute("aria-pressed", "true");
    playing = setInterval(() => at >= times.length - 1 ? stop() : show(at + 1), PLAY_MS);
  });
  document.querySelectorAll("[data-us]").forEach((one) => one.addEventListener("click", () => goTo(Number(one.dataset.us))));
  document.addEventListener("keydown", (event) => {
    if (event.target.tagName === "INPUT" && event.key.startsWith("Arrow")) return;
    const steps = {ArrowLeft: () => show(at - 1), ArrowRight: () => show(at + 1), PageUp: () => goToMark(-1), PageDown: () => goToMark(1)};
    if (steps[event.key]) { event.preventDefault(); steps[event.key](); }
  });
  addEventListener("resize", () => drawAxis(times[at]));
  if (data.marks.length) goTo(data.marks[0][0]); else show(0);
})();
