// Parallel coordinates: a run is a line, an axis a knob or a figure. Dragging on axes keeps the runs that cross all of the
// dragged parts; the fields below the plot do the same from the keyboard. The table of the page follows.
(() => {
  const NS = "http://www.w3.org/2000/svg";
  const HEIGHT = 420, TOP = 58, BOTTOM = 52, NARROWEST = 94, SIDE = 62, GRIP = 30, NEAR = 12;

  const svg = (name, attributes = {}, text) => {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const html = (name, attributes = {}, ...inside) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...inside);
    return made;
  };
  const shown = (value) => {
    if (typeof value !== "number") return String(value);
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace(/\.?0+e/, "e");
    return String(Number(value.toPrecision(4)));
  };

  // The place of a value on its axis, 0 at the foot and 1 at the head; `value` is the way back.
  function scaleOf(axis, runs) {
    const values = runs.map((run) => run.values[axis.name]).filter((value) => value !== undefined);
    if (axis.kind === "category") {
      const words = [...new Set(values)].sort((one, other) => Number(one) - Number(other) || one.localeCompare(other));
      return { words, place: (word) => (words.length === 1 ? 0.5 : words.indexOf(word) / (words.length - 1)) };
    }
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const distinct = [...new Set(values)];
    const bend = axis.log ? Math.log : (value) => value;
    const back = axis.log ? Math.exp : (value) => value;
    const width = bend(high) - bend(low);
    return {
      low, high,
      few: distinct.length <= (distinct.every(Number.isInteger) ? 6 : 1) ? distinct : null,
      place: (value) => (width === 0 ? 0.5 : (bend(value) - bend(low)) / width),
      value: (place) => (width === 0 ? low : Math.min(high, Math.max(low, back(bend(low) + place * width)))),
    };
  }

  // The values themselves where they are few, else round numbers inside the axis and its two ends.
  function ticksOf(axis, scale) {
    if (axis.kind === "category") return scale.words;
    const { low, high, few } = scale;
    if (few) return few;
    const inner = [];
    if (axis.log) {
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
        for (const digit of [1, 2, 5]) inner.push(digit * 10 ** power);
      }
    } else {
      const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].map((digit) => digit * power).find((size) => size >= rough);
      for (let value = Math.ceil(low / step) * step; value <= high; value += step) inner.push(Number(value.toPrecision(12)));
    }
    const clear = inner.filter((value) => scale.place(value) > 0.07 && scale.place(value) < 0.93);
    const most = clear.filter((_, at) => at % Math.ceil(clear.length / 5) === 0);
    return [low, ...most, high];
  }

  // "head learning rate" in lines of at most 14 letters, the last of them nearest to the axis.
  function linesOf(label) {
    const lines = [""];
    for (const word of label.split(" ")) {
      const last = lines[lines.length - 1];
      if (last && (last + " " + word).length > 14) lines.push(word);
      else lines[lines.length - 1] = last ? last + " " + word : word;
    }
    return lines;
  }

  function start(root) {
    const { axes: every, runs, quality } = JSON.parse(document.getElementById(root.dataset.parallel).textContent);
    const rows = new Map([...document.querySelectorAll("tr[data-run]")].map((row) => [row.dataset.run, row]));
    const scales = new Map(every.map((axis) => [axis.name, scaleOf(axis, runs)]));
    const hidden = new Set();
    const filters = new Map(); // axis -> [low, high], or the set of words that stay
    const judged = runs.map((run) => run.values[`figure ${quality}`]).filter((value) => value !== undefined).sort((a, b) => a - b);
    const fifth = (value) => 1 + Math.min(4, Math.floor((5 * judged.filter((one) => one < value).length) / judged.length));
    let axes = every, paths = new Map(), named = null, places = [], stop = null;

    const said = html("p", { class: "said", "aria-live": "polite" });
    const count = html("span", { class: "count", role: "status" });
    const clear = html("button", { type: "button", class: "quiet" }, "Clear all");
    const plot = html("div", { class: "plot", tabindex: "0", role: "region", "aria-label": "Parallel coordinates of the runs" });
    const fields = html("tbody");
    root.append(html("div", { class: "row" }, count, clear), plot, said, legend(), panel());

    function legend() {
      const key = (classes, words) => {
        const line = svg("svg", { width: 26, height: 8, "aria-hidden": "true" });
        line.append(svg("path", { class: `run ${classes}`, d: "M0 4H26" }));
        return html("span", {}, line, words);
      };
      const label = every.find((axis) => axis.name === `figure ${quality}`)?.label ?? "quality";
      return html("div", { class: "legend" }, key("fifth-1", `low ${label}`), key("fifth-3", "middle"), key("fifth-5", "high"),
        key("best", "best"), key("fifth-3 ended", "pruned"), key("unjudged", "failed, or not judged"));
    }

    // The same filters from the keyboard: the least and the most of numbers, words to tick; and which axes there are.
    function panel() {
      const head = html("tr", {}, ...["Axis", "Shown", "Keep from", "to"].map((word) => html("th", { scope: "col" }, word)));
      for (const axis of every) fields.append(fieldsOf(axis));
      const table = html("table", { class: "filters" }, html("thead", {}, head), fields);
      return html("details", {}, html("summary", {}, "Filters and axes, by keyboard"), html("div", { class: "scroll" }, table));
    }

    function fieldsOf(axis) {
      const scale = scales.get(axis.name);
      const tick = html("input", { type: "checkbox", checked: "", "aria-label": `Show the axis ${axis.label}` });
      tick.addEventListener("change", () => {
        if (tick.checked) hidden.delete(axis.name);
        else { hidden.add(axis.name); filters.delete(axis.name); }
        draw();
      });
      const row = html("tr", { "data-axis": axis.name }, html("th", { scope: "row" }, axis.label), html("td", {}, tick));
      if (axis.kind === "category") {
        const boxes = scale.words.map((word) => html("input", { type: "checkbox", value: word, checked: "" }));
        for (const box of boxes) {
          box.addEventListener("change", () => {
            const kept = new Set(boxes.filter((one) => one.checked).map((one) => one.value));
            if (kept.size === boxes.length) filters.delete(axis.name);
            else filters.set(axis.name, kept);
            apply();
          });
        }
        row.append(html("td", { colspan: "2" }, ...boxes.map((box) => html("label", {}, box, ` ${box.value}`))));
        return row;
      }
      const ends = ["low", "high"].map((end) => html("input", {
        type: "number", step: "any", placeholder: shown(scale[end]), "data-end": end,
        "aria-label": `${axis.label}, ${end === "low" ? "at least" : "at most"}`,
      }));
      for (const field of ends) {
        field.addEventListener("input", () => {
          const [low, high] = ends.map((one) => (one.value === "" ? null : Number(one.value)));
          if (low === null && high === null) filters.delete(axis.name);
          else filters.set(axis.name, [low ?? -Infinity, high ?? Infinity]);
          apply(field);
        });
      }
      row.append(...ends.map((field) => html("td", {}, field)));
      return row;
    }

    const keeps = (run) => [...filters].every(([name, kept]) => {
      const value = run.values[name];
      if (value === undefined) return false;
      return kept instanceof Set ? kept.has(value) : value >= kept[0] && value <= kept[1];
    });

    const yOf = (place) => TOP + (1 - place) * (HEIGHT - TOP - BOTTOM);
    const yOfRun = (run, axis) => {
      const value = run.values[axis.name];
      return value === undefined ? HEIGHT - 14 : yOf(scales.get(axis.name).place(value));
    };

    function draw() {
      axes = every.filter((axis) => !hidden.has(axis.name));
      const wide = Math.max(plot.clientWidth || 900, 2 * SIDE + NARROWEST * (axes.length - 1));
      places = axes.map((_, at) => SIDE + (axes.length === 1 ? 0 : (at * (wide - 2 * SIDE)) / (axes.length - 1)));
      const drawing = svg("svg", { width: wide, height: HEIGHT, role: "img", "aria-label": `${runs.length} runs on ${axes.length} axes` });
      const lines = svg("g");
      paths = new Map();
      for (const run of [...runs].reverse()) { // the best are drawn last, above the others
        const value = run.values[`figure ${quality}`];
        const kind = value === undefined ? "unjudged" : `fifth-${fifth(value)}`;
        const points = axes.map((axis, at) => `${places[at].toFixed(1)} ${yOfRun(run, axis).toFixed(1)}`);
        const path = svg("path", {
          class: `run ${kind}${run.status === "finished" ? "" : " ended"}${run.best ? " best" : ""}`,
          d: points.length ? `M${points.join("L")}` : "", "data-run": run.id,
        });
        paths.set(run.id, path);
        lines.append(path);
      }
      drawing.append(lines, ...axes.map((axis, at) => drawAxis(axis, places[at])));
      drawing.addEventListener("pointermove", (event) => name(nearest(drawing, event)));
      drawing.addEventListener("pointerleave", () => name(null));
      plot.replaceChildren(drawing);
      apply();
    }

    function drawAxis(axis, x) {
      const scale = scales.get(axis.name);
      const group = svg("g", { "data-axis": axis.name });
      group.append(svg("line", { class: "axis", x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }));
      const lines = linesOf(axis.label);
      lines.forEach((line, at) => group.append(svg("text", { class: "label", x, y: TOP - 14 - 13 * (lines.length - 1 - at) }, line)));
      const grip = svg("rect", { class: "grip", x: x - GRIP / 2, y: TOP - 10, width: GRIP, height: HEIGHT - TOP - BOTTOM + 20 });
      const brush = svg("rect", { class: "brush", x: x - 7, width: 14, y: 0, height: 0, visibility: "hidden" });
      group.append(grip, brush);
      for (const value of ticksOf(axis, scale)) {
        group.append(svg("text", { class: "tick", x: x + 6, y: yOf(scale.place(value)) + 3.5, "pointer-events": "none" }, shown(value)));
      }
      if (runs.some((run) => run.values[axis.name] === undefined)) {
        group.append(svg("text", { class: "tick", x: x + 6, y: HEIGHT - 10, "pointer-events": "none" }, "not set"));
      }
      grip.append(svg("title", {}, `${axis.label}: drag to filter, click to let go`));
      drag(axis, grip);
      return group;
    }

    // A drag marks a part of the axis; one that begins inside the marked part moves it.
    function drag(axis, grip) {
      const placeAt = (event) => {
        const y = event.clientY - grip.ownerSVGElement.getBoundingClientRect().top;
        return Math.min(1, Math.max(0, 1 - (y - TOP) / (HEIGHT - TOP - BOTTOM)));
      };
      let from = null, held = null;
      grip.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        grip.setPointerCapture(event.pointerId);
        from = placeAt(event);
        const marked = spanOf(axis);
        held = marked && from >= marked[0] && from <= marked[1] ? marked : null;
      });
      grip.addEventListener("pointermove", (event) => {
        if (from === null) return;
        const to = placeAt(event);
        if (Math.abs(to - from) < 0.01) return;
        if (!held) return mark(axis, Math.min(from, to), Math.max(from, to));
        const by = Math.min(1 - held[1], Math.max(-held[0], to - from));
        mark(axis, held[0] + by, held[1] + by);
      });
      const end = (event) => {
        if (from !== null && Math.abs(placeAt(event) - from) < 0.01) { filters.delete(axis.name); apply(); }
        from = null;
      };
      grip.addEventListener("pointerup", end);
      grip.addEventListener("pointercancel", () => { from = null; });
    }

    function mark(axis, low, high) {
      const scale = scales.get(axis.name);
      if (axis.kind === "category") {
        filters.set(axis.name, new Set(scale.words.filter((word) => scale.place(word) >= low && scale.place(word) <= high)));
      } else {
        filters.set(axis.name, [scale.value(low), scale.value(high)]);
      }
      apply();
    }

    // The marked part of an axis as places, or null. Words that do not stand together are told by the fields alone.
    function spanOf(axis) {
      const kept = filters.get(axis.name), scale = scales.get(axis.name);
      if (kept === undefined) return null;
      if (kept instanceof Set) {
        const spots = [...kept].map(scale.place);
        return spots.length ? [Math.max(0, Math.min(...spots) - 0.04), Math.min(1, Math.max(...spots) + 0.04)] : null;
      }
      return kept.map((end) => scale.place(Math.min(scale.high, Math.max(scale.low, end)))); // below it a logarithm may not be
    }

    function apply(typing = null) {
      let staying = 0;
      for (const run of runs) {
        const stays = keeps(run);
        staying += stays;
        paths.get(run.id)?.classList.toggle("out", !stays);
        const row = rows.get(run.id);
        if (row) row.hidden = !stays;
      }
      count.textContent = filters.size ? `${staying} of ${runs.length} runs stay.` : `${runs.length} runs.`;
      clear.disabled = !filters.size;
      if (!stop || stop.hidden) stopAt(reachable()[0] ?? null);
      for (const axis of every) {
        const span = spanOf(axis), scale = scales.get(axis.name), kept = filters.get(axis.name);
        const brush = plot.querySelector(`g[data-axis="${CSS.escape(axis.name)}"] .brush`);
        if (brush) {
          brush.setAttribute("visibility", span ? "visible" : "hidden");
          if (span) {
            brush.setAttribute("y", yOf(span[1]));
            brush.setAttribute("height", Math.max(2, yOf(span[0]) - yOf(span[1])));
          }
        }
        for (const field of fields.querySelectorAll(`tr[data-axis="${CSS.escape(axis.name)}"] td:nth-child(n + 3) input`)) {
          if (field === typing) continue;
          if (axis.kind === "category") field.checked = !kept || kept.has(field.value);
          else {
            const end = kept?.[field.dataset.end === "low" ? 0 : 1];
            field.value = end === undefined || !Number.isFinite(end) || end === scale[field.dataset.end] ? "" : shown(end);
          }
        }
      }
    }

    // The run whose line passes nearest to the pointer.
    function nearest(drawing, event) {
      const box = drawing.getBoundingClientRect();
      const x = event.clientX - box.left, y = event.clientY - box.top;
      const last = places.length - 1;
      if (axes.length < 2 || x < places[0] - NEAR || x > places[last] + NEAR) return null;
      const right = x > places[last] ? last : Math.max(1, places.findIndex((place) => place >= x));
      const left = right - 1, share = Math.min(1, Math.max(0, (x - places[left]) / (places[right] - places[left])));
      let best = null, distance = NEAR;
      for (const run of runs) {
        if (!keeps(run)) continue;
        const [from, to] = [yOfRun(run, axes[left]), yOfRun(run, axes[right])];
        const slope = (to - from) / (places[right] - places[left]);
        const away = Math.abs(from + share * (to - from) - y) / Math.hypot(1, slope);
        if (away < distance) [best, distance] = [run, away];
      }
      return best;
    }

    function name(run) {
      if (run === named) return;
      if (named) {
        paths.get(named.id)?.classList.remove("named");
        rows.get(named.id)?.classList.remove("named");
      }
      named = run;
      said.replaceChildren();
      if (!run) return;
      const path = paths.get(run.id);
      path?.classList.add("named");
      path?.parentNode.append(path);
      rows.get(run.id)?.classList.add("named");
      const values = every.filter((axis) => run.values[axis.name] !== undefined && axis.name !== "kind");
      said.append(html("strong", { class: "id" }, run.name), ` ${run.kind}, ${run.status}: `,
        values.map((axis) => `${axis.label} ${shown(run.values[axis.name])}`).join(", "));
    }

    // Tab reaches one row of the table, arrow keys the others: hundreds of stops would bar the way to the end of the page.
    function reachable() {
      return [...rows.values()].filter((row) => !row.hidden);
    }

    function stopAt(row) {
      stop?.setAttribute("tabindex", "-1");
      stop = row;
      stop?.setAttribute("tabindex", "0");
    }

    function walk(event) {
      const all = reachable(), at = all.indexOf(event.currentTarget);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      all[to]?.focus();
    }

    clear.addEventListener("click", () => { filters.clear(); apply(); });
    for (const run of runs) {
      const row = rows.get(run.id);
      row?.setAttribute("tabindex", "-1");
      row?.addEventListener("keydown", walk);
      row?.addEventListener("focus", () => stopAt(row));
      for (const event of ["pointerenter", "focus"]) row?.addEventListener(event, () => name(run));
      for (const event of ["pointerleave", "blur"]) row?.addEventListener(event, () => name(null));
    }
    draw();
    let width = plot.clientWidth;
    new ResizeObserver(() => {
      if (plot.clientWidth !== width) { width = plot.clientWidth; draw(); }
    }).observe(plot);
    root.classList.add("drawn");
  }

  for (const root of document.querySelectorAll("[data-parallel]")) start(root);
})();
