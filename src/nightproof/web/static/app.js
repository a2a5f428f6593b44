// What pages do beyond links and forms: times in the viewer's zone, news from the journal,
// charts, the grid of a map, buttons that copy, files that are dropped. Every page works without.
"use strict";
(() => {
  const body = document.body;
  const main = () => document.getElementById("main");

  // Times are written in UTC; the title keeps that.
  const form = (extra) => new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short",
    hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...extra });
  const near = form({}), far = form({ year: "numeric" });
  const exact = form({ second: "2-digit" }), named = form({ year: "numeric", second: "2-digit", timeZoneName: "short" });
  function localise(root) {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const old = Math.abs(Date.now() - at) > 180 * 86400e3;
      const shown = time.closest("[data-exact]") ? exact : old ? far : near;
      time.textContent = shown.format(at).replace(",", "");
      time.title = `${named.format(at)} · ${time.dateTime}`;
    }
  }

  // A region that does not scroll needs no place in the order of the Tab key.
  function regions(root) {
    for (const one of root.querySelectorAll(".scroll")) one.tabIndex = one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight ? 0 : -1;
  }

  // What leads somewhere is known by where: news must not make another button of one that
  // somebody is about to press.
  function mark(root) {
    const times = new Map();
    for (const one of root.querySelectorAll("#main :is(tr, li, a.button)")) {
      const to = (one.matches("a") ? one : one.querySelector("a[href]"))?.getAttribute("href");
      if (!to || (one.id && !one.id.startsWith("to:"))) continue;
      const name = `to:${one.tagName}:${to}`, before = times.get(name) ?? 0;
      one.id = before ? `${name}:${before}` : name;
      times.set(name, before + 1);
    }
  }

  const colour = (name) => getComputedStyle(body).getPropertyValue(`--${name}`).trim();
  const drawn = new WeakMap();

  // The numbers beside an axis: as many digits as tell them apart, and short.
  function scale(all) {
    const top = Math.max(...all.map(Math.abs)), step = Math.abs(all[1] - all[0]) || top || 1;
    const [by, unit] = top >= 1e9 ? [1e9, " bn"] : top >= 1e6 ? [1e6, " M"] : top >= 1e5 ? [1e3, " k"] : [1, ""];
    const digits = Math.min(9, Math.max(0, Math.ceil(-Math.log10(step / by) - 1e-9)));
    const form = new Intl.NumberFormat("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return all.map((v) => form.format(v / by) + unit);
  }

  // Charts: uPlot is fetched by the first page that has one.
  let library;
  const uplot = () => library ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = body.dataset.charts;
    script.onload = () => done(window.uPlot);
    script.onerror = failed;
    document.head.append(script);
  });
  async function chart(place) {
    const text = place.dataset.chart, key = text + colour("bg");
    const before = drawn.get(place);
    if (before?.key === key) return;
    const data = JSON.parse(text), known = { key };
    drawn.set(place, known);
    const Plot = await uplot();
    if (drawn.get(place) !== known) return;
    before?.plot?.destroy();
    const ink = colour("muted"), line = { stroke: colour("line"), width: 1 };
    const axis = { stroke: ink, grid: line, ticks: { ...line, size: 5 }, font: `11px ${colour("sans")}`, labelFont: `11px ${colour("sans")}` };
    const bars = data.kind === "bars";
    const unit = data.unit ? ` ${data.unit}` : "";
    const number = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 9 });
    const hues = ["running", "parked", "drifted", "completed", "failed", "quiet"];
    const series = data.series.map((one, n) => {
      const hue = colour(one.status ?? hues[n % hues.length]);
      return {
        label: one.label, stroke: hue, width: data.kind === "points" ? 0 : 1.6, spanGaps: false,
        fill: bars ? hue : undefined, dash: one.dash ? [5, 4] : undefined,
        paths: bars ? Plot.paths.bars({ size: [0.7, 26] }) : data.kind === "points" ? () => null : undefined,
        points: { show: data.kind === "points" || Boolean(one.points) || (!bars && data.x.length < 40), size: 5, fill: hue },
        value: (_, v) => v == null ? "–" : number.format(v) + unit,
      };
    });
    const span = data.x.at(-1) - data.x[0], dated = data.time && span > 2 * 86400;
    const axisTime = new Intl.DateTimeFormat("en-GB", dated ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit", second: span < 600 ? "2-digit" : undefined });
    const edge = data.x.length < 2 ? (data.time ? 43200 : 1) : bars ? (0.6 * span) / (data.x.length - 1) : span * 0.01;
    known.plot = new Plot({
      class: data.series.length > 1 ? "several" : "single",
      width: Math.max(200, place.clientWidth - 24), height: data.height ?? 190, cursor: { drag: { x: false, y: false } },
      scales: { x: { time: Boolean(data.time), range: [data.x[0] - edge, data.x.at(-1) + edge] },
        y: bars || data.zero ? { range: (_, low, high) => [Math.min(0, low ?? 0), (high || 1) * 1.08] } : {} },
      axes: [{ ...axis, ...(data.time ? { values: (_, all) => all.map((v) => axisTime.format(v * 1000)) } : {}), ...(data.time ? { size: 28, incrs: dated ? [1, 2, 7, 14, 30, 61, 91, 182, 365].map((n) => n * 86400) : [1, 5, 15, 30, 60, 300, 900, 3600, 10800, 21600, 43200] } : { size: 28 }) }, { ...axis, size: 60, values: (_, all) => scale(all) }],
      series: [{ label: data.x_label ?? "x", value: data.time ? (_, v) => v == null ? "–" : near.format(v * 1000).replace(",", "") : undefined }, ...series],
    }, [data.x, ...data.series.map((one) => one.values)], place);
    sizes.observe(place);
  }

  // The grid of a map: a cell an item; done is filled, failed crossed, what is open a frame.
  async function cells(canvas, again) {
    const { cells: src, states, total, href } = canvas.dataset, wide = canvas.clientWidth;
    const key = JSON.stringify([src, states, total, colour("bg"), wide]), before = drawn.get(canvas);
    if (!wide || (before?.key === key && !(src && again))) return;
    const data = { states: states ?? "", total: Number(total) || 0, href }, known = { key, data };
    drawn.set(canvas, known);
    if (src) {
      const answer = await fetch(src).catch(() => null);
      if (!answer?.ok || drawn.get(canvas) !== known) return;
      Object.assign(data, await answer.json());
    }
    const count = Math.max(data.total, data.states.length);
    const size = Math.max(wide < 600 ? 1 : 2, Math.min(16, Math.floor(Math.sqrt((wide * 400) / Math.max(1, count)))));
    const columns = Math.max(1, Math.floor(wide / size)), rows = Math.ceil(count / columns);
    const scale = window.devicePixelRatio || 1, gap = size > 7 ? 2 : size > 3 ? 1 : 0, side = size - gap;
    Object.assign(known, { size, columns, count });
    canvas.width = wide * scale;
    canvas.height = rows * size * scale;
    canvas.classList.toggle("links", Boolean(href));
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const each = (want, draw) => {
      for (let n = 0; n < count; n++) if ((data.states[n] ?? ".") === want || (want === "." && !"dfr".includes(data.states[n] ?? "."))) draw((n % columns) * size, Math.floor(n / columns) * size);
    };
    pen.fillStyle = colour("completed");
    pen.globalAlpha = 0.5;
    each("d", (x, y) => pen.fillRect(x, y, side, side));
    pen.fillStyle = pen.strokeStyle = colour("quiet");
    each(".", (x, y) => side > 5 ? pen.strokeRect(x + 0.5, y + 0.5, side - 1, side - 1) : pen.fillRect(x, y, Math.max(1, side / 2), Math.max(1, side / 2)));
    pen.globalAlpha = 1;
    pen.fillStyle = colour("running");
    each("r", (x, y) => pen.fillRect(x, y + side / 3, side, side / 3));
    pen.fillStyle = colour("failed");
    pen.strokeStyle = colour("on");
    pen.lineWidth = side > 9 ? 1.6 : 1.1;
    each("f", (x, y) => {
      if (side < 5) { pen.fillRect(x - 1, y - 1, side + 2, side + 2); return; }
      pen.fillRect(x, y, side, side);
      pen.beginPath();
      pen.moveTo(x + side * 0.25, y + side * 0.25); pen.lineTo(x + side * 0.75, y + side * 0.75);
      pen.moveTo(x + side * 0.75, y + side * 0.25); pen.lineTo(x + side * 0.25, y + side * 0.75);
      pen.stroke();
    });
    sizes.observe(canvas);
  }
  function under(canvas, event) {
    const known = drawn.get(canvas);
    if (!known?.size) return null;
    const column = Math.floor(event.offsetX / known.size), n = Math.floor(event.offsetY / known.size) * known.columns + column;
    return column < known.columns && n >= 0 && n < known.count ? { n, ...known } : null;
  }
  document.addEventListener("mousemove", (event) => {
    const canvas = event.target.closest?.("canvas.grid");
    const found = canvas && under(canvas, event);
    if (found) canvas.title = `${(found.n + 1).toLocaleString("en-GB")}: ${{ d: "done", f: "failed", r: "running" }[found.data.states[found.n]] ?? "open"}`;
  });

  const sizes = new ResizeObserver((all) => {
    for (const { target } of all) {
      if (target.matches("canvas")) cells(target);
      else drawn.get(target)?.plot?.setSize({ width: Math.max(200, target.clientWidth - 24), height: drawn.get(target).plot.height });
    }
  });
  function draw(again) {
    document.querySelectorAll("[data-chart]").forEach(chart);
    document.querySelectorAll("canvas.grid").forEach((one) => cells(one, again));
    regions(document);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
  addEventListener("resize", () => regions(document));

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (button) {
      const label = button.dataset.label ??= button.textContent;
      const copied = await navigator.clipboard?.writeText(button.dataset.copy).then(() => true, () => false);
      if (!copied) getSelection().selectAllChildren(button.previousElementSibling ?? button);
      button.textContent = copied ? "Copied" : "Selected";
      setTimeout(() => { button.textContent = label; }, 1500);
    }
    const canvas = event.target.closest?.("canvas.grid");
    const found = canvas && under(canvas, event);
    if (found?.data.href) location.href = found.data.href + found.n;
  });

  // News: the journal's event stream says that something changed, then the page is asked again.
  let source, last = "", pause = 1000, again, asking = false, more = false, held = false;
  const badge = document.getElementById("live");
  function say(kind, text) {
    if (badge.textContent === text) return;
    badge.className = kind;
    badge.textContent = text;
  }
  // Whether somebody is at something that news would take away.
  const edited = (field) => field.matches("select") ? field.selectedIndex !== Math.max(0, [...field.options].findIndex((one) => one.defaultSelected))
    : field.matches("[type=checkbox], [type=radio]") ? field.checked !== field.defaultChecked : field.value !== field.defaultValue;
  const busy = () => document.querySelector("dialog[open]") || [...document.querySelectorAll("#main :is(input, select, textarea):not([type=hidden])")].some(edited);
  for (const kind of ["change", "reset", "focusout"]) document.addEventListener(kind, () => setTimeout(() => { if (held && !busy()) refresh(); }));
  async function refresh() {
    held = Boolean(busy());
    if (held) return say("held", "news wait while you edit");
    if (asking) { more = true; return; }
    asking = true;
    const began = performance.now();
    try {
      const answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (answer.redirected || answer.status === 401) return location.reload();
      const text = await answer.text();
      if (answer.ok || answer.status === 404) {
        if (busy()) return more = true;
        const at = document.activeElement;
        await htmx.swap({ text, sourceElement: main(), target: "#main", select: "#main", swap: "outerMorph" });
        if (!at.isConnected) main().focus({ preventScroll: true });
        draw(true);
        document.dispatchEvent(new CustomEvent("np:shown"));
        if (source?.readyState === EventSource.OPEN) say("", "live");
      } else say("away", "out of date");
    } catch { /* the stream notices when the server is back, and asks again */ } finally {
      // A page that takes long is asked for less often.
      setTimeout(() => {
        asking = false;
        if (more) { more = false; refresh(); }
      }, Math.min(10000, 2 * (performance.now() - began)));
    }
  }
  function listen() {
    clearTimeout(again);
    source?.close();
    source = null;
    if (!body.dataset.live || document.hidden) return;
    const at = new URL(body.dataset.live, location.href);
    at.searchParams.set(last ? "last" : "since", last || body.dataset.since);
    source = new EventSource(at);
    source.onopen = () => { pause = 1000; if (!held) say("", "live"); };
    source.addEventListener("changed", (event) => {
      last = event.lastEventId || last;
      body.dispatchEvent(new CustomEvent("np:changed"));
    });
    source.onerror = () => {
      say("away", "reconnecting");
      if (source?.readyState !== EventSource.CLOSED) return;
      // Refused: the page itself is asked, and led to the login where that is why.
      again = setTimeout(() => { refresh(); listen(); }, pause * (0.75 + Math.random() / 2));
      pause = Math.min(30000, pause * 2);
    };
  }
  body.addEventListener("np:changed", refresh);
  // Time itself changes a page: what took so long, what of a quota has lapsed.
  setInterval(() => { if (source?.readyState === EventSource.OPEN) refresh(); }, 60000);
  // A browser opens six connections to a host: a page that is not seen gives its one back.
  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => { if (event.persisted && body.dataset.live) { refresh(); listen(); } });

  // What scripts have added to the page stays where the page is changed.
  document.addEventListener("htmx:before:swap", (event) => {
    mark(main());
    for (const task of event.detail.tasks) { localise(task.fragment); mark(task.fragment); }
  });
  htmx.registerExtension("nightproof", { htmx_before_morph_attr: (element, { attrName }) =>
    !((element.tagName === "DETAILS" && attrName === "open") || (element.tagName === "CANVAS" && ["width", "height", "title", "class"].includes(attrName)) || (attrName === "tabindex" && (element.className === "scroll" || element.classList.contains("cell")))) });

  // Nights without a schedule are dated in the zone of whoever looks.
  document.cookie = `tz=${Intl.DateTimeFormat().resolvedOptions().timeZone}; path=/; samesite=strict; max-age=31536000`;
  document.querySelector(".unscripted")?.remove(); // where the style's question is not understood
  // An address that names a closed part opens it.
  const reveal = () => { const part = document.getElementById(location.hash.slice(1)); if (part?.matches("details")) part.open = true; };
  addEventListener("hashchange", reveal);
  reveal();
  localise(document);
  draw();
  document.dispatchEvent(new CustomEvent("np:shown"));
  listen();
})();
