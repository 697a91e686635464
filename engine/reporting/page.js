// Draws the charts of a page from the numbers in it, and turns the pictures under their slider.
"use strict";
(() => {
  const HEIGHT = 220, TOP = 8, FOOT = 36, RIGHT = 14, CHARACTER = 6.4, DOTS = 40;
  const X = {epochs: "epoch", cycles: "cycle", seconds: "seconds"};
  let unit = "epochs";

  // Numbers as people read them: 4 digits, and as many decimals as a step of the axis needs.
  const digits = (value) => {
    const size = Math.abs(value);
    return size && (size < 1e-4 || size >= 1e6) ? value.toExponential(3) : size >= 1e4
      ? Math.round(value).toLocaleString("en") : value.toPrecision(4);
  };
  const tickText = (tick, step) => {
    if (tick === 0) return "0";
    const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    if (places > 6 || Math.abs(tick) >= 1e7)
      return tick.toExponential(Math.min(6, Math.max(0, Math.ceil(Math.log10(Math.abs(tick) / step) - 1e-9))));
    return tick.toLocaleString("en", {minimumFractionDigits: places, maximumFractionDigits: places});
  };
  const escaped = (text) => text.replace(/[&<]/g, (each) => ({"&": "&amp;", "<": "&lt;"})[each]);
  const place = (value) => unit === "cycles" ? value.toLocaleString("en") : String(Math.round(value * 1000) / 1000);

  // An axis: {at(value) -> pixel, ticks: [[value, text]]}.
  const niceStep = (least) => {
    const power = 10 ** Math.floor(Math.log10(least));
    return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= least * (1 - 1e-9));
  };
  const linear = (low, high, begin, end, apart, pad, leastStep = 0) => {
    const size = Math.max(Math.abs(low), Math.abs(high));
    if (high - low <= 1e-9 * size || high === low) {
      const room = pad && size > 1e-290 ? size * 0.1 : 1;
      [low, high] = [low - room, high + room];
    }
    const step = Math.max(niceStep((high - low) * apart / Math.abs(end - begin)), leastStep);
    const first = pad ? Math.floor(low / step) : Math.ceil(low / step - 1e-9);
    const last = pad ? Math.ceil(high / step) : Math.floor(high / step + 1e-9);
    if (pad) [low, high] = [first * step, last * step];
    const ticks = [];
    for (let n = first; n <= last; n++) ticks.push([n * step, tickText(n * step, step)]);
    return {at: (value) => begin + (value - low) / (high - low) * (end - begin), ticks};
  };
  const logarithmic = (low, high, begin, end) => {
    let [from, to] = [Math.log10(low), Math.log10(high)];
    const room = Math.max((to - from) * 0.05, 0.02);
    [from, to] = [from - room, to + room];
    const every = Math.ceil((to - from) / 5), nice = to - from < 2.5 ? [1, 2, 5] : [1];
    let ticks = [];
    for (let power = Math.floor(from); power <= to; power++)
      for (const n of nice)
        if (power % every === 0) ticks.push([n * 10 ** power, tickText(n * 10 ** power, 10 ** power)]);
    ticks = ticks.filter(([value]) => Math.log10(value) >= from && Math.log10(value) <= to);
    if (ticks.length < 3) ticks = linear(10 ** from, 10 ** to, begin, end, 40, false).ticks;
    return {at: (value) => begin + (Math.log10(value) - from) / (to - from) * (end - begin), ticks};
  };

  // What a chart has along x: its own values, or what the switch of the page says.
  const known = (line) => line.x.value || line.x[unit] || line.x.cycles;
  const label = (chart) => chart.spec.across ? chart.spec.across.label : X[unit];
  const placeText = (chart, value) => {
    const across = chart.spec.across;
    return !across ? place(value) : across.names.length ? across.names[value] : String(Number(value.toPrecision(4)));
  };
  const named = (names, begin, end) => {
    const at = (value) => begin + (value + 0.5) / names.length * (end - begin);
    return {at, ticks: names.map((name, i) => [i, name])};
  };
  const apartFrom = (axis) => {  // leaves out ticks whose texts would run into each other, powers of ten last
    const fits = (ticks) => ticks.reduce(([kept, end], [value, text]) => {
      const half = CHARACTER * text.length / 2 + 4, x = axis.at(value);
      return x - half >= end ? [[...kept, [value, text]], x + half] : [kept, end];
    }, [[], -Infinity])[0];
    const powers = axis.ticks.filter(([value]) => Math.abs(Math.log10(value) % 1) < 1e-9);
    const all = fits(axis.ticks);
    return {at: axis.at, ticks: all.length === axis.ticks.length || powers.length < 2 ? all : fits(powers)};
  };
  function axisAcross(chart, first, last, begin, end) {
    const across = chart.spec.across;
    if (!across) {
      const apart = Math.max(48, 20 + CHARACTER * place(Math.round(last)).length);
      return linear(Math.min(0, first), last, begin, end, apart, false, unit === "cycles" ? 1 : 0);
    }
    if (across.names.length) return apartFrom(named(across.names, begin, end));
    return apartFrom(across.log ? logarithmic(first, last, begin, end) : linear(first, last, begin, end, 60, true));
  }

  function draw(chart) {
    const {plot, spec} = chart, width = plot.clientWidth;
    if (!width) return;  // folded away: drawn when it is opened
    const shows = (y) => y !== null && (y > 0 || !chart.log);
    const places = [], values = [];
    for (const line of spec.lines)
      line.y.forEach((y, i) => {
        if (shows(y)) values.push(y);
        if (shows(y) || spec.across) places.push(known(line)[i]);
      });
    chart.cursor = null;
    chart.drawn = [];
    if (!values.length) {
      plot.innerHTML = `<svg width="${width}" height="${HEIGHT}"><text x="${width / 2}" y="${HEIGHT / 2}" ` +
        'text-anchor="middle">no values yet</text></svg>';
      return;
    }
    const range = (numbers) => numbers.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    const [low, high] = range(values), bottom = HEIGHT - FOOT;
    const down = chart.log ? logarithmic(low, high, bottom, TOP) : linear(low, high, bottom, TOP, 32, true);
    const left = 10 + CHARACTER * Math.max(...down.ticks.map(([, text]) => text.length));
    const across = axisAcross(chart, ...range(places), left, width - RIGHT);  // from 0 on: charts of a run are alike
    const parts = down.ticks.map(([value, text]) => {
      const y = down.at(value).toFixed(1);
      return `<path class="grid" d="M${left} ${y}H${width - RIGHT}"/>` +
        `<text x="${left - 6}" y="${y}" dy="4" text-anchor="end">${text}</text>`;
    });
    for (const [value, text] of across.ticks) {
      const x = across.at(value), at = Math.min(x, width - CHARACTER * text.length / 2);
      parts.push(`<path class="axis" d="M${x.toFixed(1)} ${bottom}v4"/>` +
        `<text x="${at.toFixed(1)}" y="${bottom + 16}" text-anchor="middle">${escaped(text)}</text>`);
    }
    parts.push(`<path class="axis" d="M${left} ${bottom}H${width - RIGHT}"/>` +
      `<text x="${(left + width - RIGHT) / 2}" y="${HEIGHT - 5}" text-anchor="middle">${escaped(label(chart))}</text>`);
    for (const line of spec.lines) {
      const points = [];
      let path = "", open = false, dots = "";
      line.y.forEach((y, i) => {
        const x = known(line)[i];
        if (!shows(y)) {
          open = false;
          if (spec.across) {  // it failed
            const at = [across.at(x), TOP + 4, x, null];
            dots += `<path d="M${at[0] - 3.5} ${TOP + 0.5}l7 7m0 -7l-7 7" stroke="${line.colour}" stroke-width="1.8"/>`;
            points.push(at);
          }
          return;
        }
        const point = [across.at(x), down.at(y), x, y];
        const alone = !open && !(i + 1 < line.y.length && shows(line.y[i + 1]));
        path += `${open ? "L" : "M"}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
        if (alone || (line.y.length <= DOTS && !line.faint))
          dots += `<circle cx="${point[0].toFixed(1)}" cy="${point[1].toFixed(1)}" r="${spec.across ? 4 : 2.4}"/>`;
        open = true;
        points.push(point);
      });
      parts.push(`<g${line.faint ? ' class="faint"' : ""}>` +
        `<path d="${path}" fill="none" stroke="${line.colour}" stroke-width="${line.faint ? 1.2 : 1.7}" ` +
        `stroke-dasharray="${line.dash}" stroke-linejoin="round"/>` +
        `<g fill="${line.colour}">${dots}</g></g>`);
      chart.drawn.push({line, points});
    }
    plot.innerHTML = `<svg width="${width}" height="${HEIGHT}">${parts.join("")}<g class="over"></g></svg>`;
  }

  // Shows the values at a pixel of x: of each line, the nearest point; of points, and of faint lines, the one nearest
  // to the pointer alone.
  const nearest = (points, x) => points.reduce((a, b) => Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a);
  function closest(found, x, y) {
    const far = ({at}) => Math.hypot(at[0] - x, y === undefined ? 0 : at[1] - y);
    return found.length ? [found.reduce((a, b) => far(b) <= far(a) ? b : a)] : [];
  }
  function point(chart, x, y) {
    const all = chart.drawn.filter(({points}) => points.length)
      .map(({line, points}) => ({line, at: nearest(points, x)}));
    const single = ({line}) => Boolean(chart.spec.across || line.faint);
    const found = [...all.filter((each) => !single(each)), ...closest(all.filter(single), x, y)];
    if (!found.length) return;
    const [px, , where] = nearest(found.map(({at}) => at), x);
    chart.cursor = px;
    chart.plot.querySelector(".over").innerHTML = `<path class="cursor" d="M${px} ${TOP}V${HEIGHT - FOOT}"/>` +
      found.filter(({line}) => line.faint && !chart.spec.across).map(({line}) => `<path fill="none" ` +
        `stroke="var(--ink)" stroke-width="1.7" d="${pathOf(chart, line)}"/>`).join("") +
      found.map(({line, at}) => `<circle cx="${at[0]}" cy="${at[1]}" r="${chart.spec.across ? 5.5 : 3.5}" ` +
        `fill="${line.faint ? "var(--ink)" : line.colour}"/>`).join("");
    const tip = chart.tip;
    tip.replaceChildren(Object.assign(document.createElement("b"), {textContent: `${label(chart)} ${placeText(chart, where)}`}));
    for (const {line, at} of found) {
      const row = document.createElement("div"), name = document.createElement("span");
      name.textContent = line.name + (Math.abs(at[0] - px) > 2 ? ` (at ${placeText(chart, at[2])})` : "");
      name.style.borderLeft = `4px solid ${line.colour}`;
      name.style.paddingLeft = "5px";
      row.append(name, at[3] === null ? "failed" : digits(at[3]));
      tip.append(row);
    }
    tip.hidden = false;
    const right = chart.plot.offsetLeft + px + 12;
    tip.style.top = `${chart.plot.offsetTop + TOP}px`;
    tip.style.left = px < chart.plot.clientWidth / 2 ? `${right}px`
      : `${Math.max(0, right - 24 - tip.offsetWidth)}px`;
  }
  const pathOf = (chart, line) => chart.drawn.find((each) => each.line === line).points
    .map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  function leave(chart) {
    chart.tip.hidden = true;
    chart.cursor = null;
    const over = chart.plot.querySelector(".over");
    if (over) over.innerHTML = "";
  }
  function step(chart, by) {  // one point on, by the keyboard
    const places = [...new Set(chart.drawn.flatMap(({points}) => points.map(([x]) => x)))].sort((a, b) => a - b);
    if (!places.length) return;
    const now = chart.cursor === null ? (by > 0 ? -1 : places.length) : places.indexOf(chart.cursor);
    point(chart, places[Math.max(0, Math.min(places.length - 1, now + by))]);
  }

  const charts = [...document.querySelectorAll("figure.chart")].map((figure) => {
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const chart = {spec, log: spec.log, plot: figure.querySelector(".plot"), tip: figure.querySelector(".tip"),
                   drawn: [], cursor: null};
    const button = figure.querySelector("button.log");
    if (button) button.addEventListener("click", () => {
      chart.log = !chart.log;
      button.setAttribute("aria-pressed", chart.log);
      leave(chart);
      draw(chart);
    });
    const move = (event) => {
      const box = chart.plot.getBoundingClientRect();
      point(chart, event.clientX - box.left, event.clientY - box.top);
    };
    chart.plot.addEventListener("pointermove", move);
    chart.plot.addEventListener("pointerdown", move);
    chart.plot.addEventListener("pointerleave", () => leave(chart));
    chart.plot.addEventListener("blur", () => leave(chart));
    chart.plot.addEventListener("keydown", (event) => {
      const by = {ArrowRight: 1, ArrowLeft: -1}[event.key];
      if (by) { event.preventDefault(); step(chart, by); } else if (event.key === "Escape") leave(chart);
    });
    new ResizeObserver(() => { leave(chart); draw(chart); }).observe(chart.plot);
    return chart;
  });
  for (const input of document.querySelectorAll("input[name=unit]"))
    input.addEventListener("change", () => {
      unit = input.value;
      charts.forEach((chart) => { leave(chart); draw(chart); });
    });

  for (const gallery of document.querySelectorAll(".gallery")) {
    const slider = gallery.querySelector("input"), text = gallery.querySelector("output");
    if (!slider) continue;  // one evaluation
    const shown = JSON.parse(gallery.querySelector("script").textContent);
    const images = [...gallery.querySelectorAll("img")], last = shown[shown.length - 1].pictures;
    for (const image of images) if (image.hasAttribute("src")) last[image.dataset.name] = image.src;
    slider.addEventListener("input", () => {
      const {caption, pictures} = shown[slider.value];
      text.textContent = caption;
      slider.setAttribute("aria-valuetext", caption);
      for (const image of images) {
        const source = pictures[image.dataset.name];
        image.hidden = !source;
        if (source) image.src = source;
        image.alt = `${image.dataset.name}, ${caption}`;
        image.parentElement.querySelector("i").hidden = Boolean(source);
      }
    });
  }
})();
