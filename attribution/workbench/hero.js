// The velocity chart: drawn on a canvas from what the server pushes, or from what the page hands over without it.

const TALL = 330;
const EDGE = { left: 58, right: 16, top: 6, bottom: 26 };
const SILENT_MS = 3000;
const AGAIN_MS = 10000;
const STEPS = [15, 30, 60, 120, 180, 300, 600, 1800, 3600];

const digits = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const said = (rate) => (rate == null ? "unknown" : digits.format(rate));
const clock = (ms) => new Date(ms).toISOString().slice(11, 19);

class Chart {
  constructor(root) {
    const find = (name) => root.querySelector(name);
    this.root = root;
    [this.told, this.plot, this.canvas] = [find(".told"), find(".plot"), find("canvas")];
    [this.cursor, this.tip, this.late] = [find(".cursor"), find(".tip"), find(".late")];
    [this.parts, this.heard] = [find(".parts-of"), find(".heard")];
    this.state = null;
    this.address = "";
    this.source = null;
    this.painted = 0;
    this.at = null; // seconds since midnight that the cursor reads
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.came = performance.now();
    this.sizes = new ResizeObserver(() => this.soon());
    this.sizes.observe(this.plot);
    this.seen = () => (document.hidden ? this.hush() : this.listen());
    document.addEventListener("visibilitychange", this.seen);
    document.fonts.ready.then(() => this.soon());
    this.timer = setInterval(() => this.age(), 500);
    this.reading();
  }

  close() {
    this.hush();
    clearInterval(this.timer);
    cancelAnimationFrame(this.frame);
    this.sizes.disconnect();
    document.removeEventListener("visibilitychange", this.seen);
  }

  // What the page hands over: an address to listen at, and a drawing where it has one.
  take(data, tell) {
    this.tell = tell;
    this.figures = data.figures;
    this.root.classList.toggle("bare", !data.figures);
    if (this.address !== data.address) {
      this.hush();
      this.address = data.address;
    }
    const newest = this.source && this.state && data.drawing && data.drawing.at < this.state.at;
    if (data.drawing && !newest) this.whole(data.drawing);
    this.stands = !this.address && Boolean(data.drawing);
    this.listen();
    this.soon();
  }

  listen() {
    if (!this.address || this.source || document.hidden) return;
    this.source = new EventSource(this.address);
    this.opened = performance.now();
    const hear = (name, act) =>
      this.source.addEventListener(name, (event) => {
        act(JSON.parse(event.data));
        this.root.dataset.beat = event.lastEventId;
        this.report(true);
      });
    hear("whole", (told) => this.whole(told));
    hear("change", (told) => this.change(told));
  }

  hush() {
    this.source?.close();
    this.source = null;
  }

  report(on) {
    if (this.reported === on) return;
    this.reported = on;
    this.tell("pushed", on);
  }

  whole(told) {
    const { panels, ...drawing } = told;
    this.state = drawing;
    this.around(panels);
    this.came = performance.now();
    this.words();
    this.soon();
  }

  change(told) {
    if (!this.state) return;
    if ("zero" in told) return this.whole(told);
    const { line, panels, ...rest } = told;
    const fresh = "top" in told || "line" in told || "model" in told || "breaks" in told || "split" in told;
    Object.assign(this.state, rest);
    this.around(panels);
    if (line) this.extend(line);
    this.came = performance.now();
    if (fresh || "figures" in told || "heard" in told) this.words();
    if (fresh || !this.calm.matches) this.soon();
  }

  // The new end of the line takes the place of the old one; what has left the chart is forgotten.
  extend(line) {
    const known = this.state.line;
    const oldest = this.now() - this.state.span - 10;
    const [first, end] = [known.t.findIndex((t) => t >= oldest), known.t.findIndex((t) => t >= line.t[0])];
    for (const name of Object.keys(known)) {
      const kept = known[name].slice(Math.max(first, 0), end < 0 ? undefined : end);
      known[name] = kept.concat(line[name]);
    }
  }

  now() {
    return (this.state.at - this.state.zero) / 1000;
  }

  // HTML from the server, which has escaped what a feed has typed; written only where it has changed.
  words() {
    const put = (place, html) => {
      if (place.written !== html) place.innerHTML = place.written = html;
    };
    put(this.told, this.figures ? this.state.figures : "");
    put(this.parts, this.figures ? this.state.split : "");
    put(this.heard, this.state.heard);
  }

  // What moves around the chart is written into its places; what is the session's own there stays.
  around(panels) {
    for (const [name, html] of Object.entries(panels ?? {})) {
      for (const place of document.querySelectorAll(`[data-moves="${name}"]`)) {
        const own = [...place.querySelectorAll("[data-own]")].map((node) => [node.dataset.own, node.innerHTML]);
        place.innerHTML = html;
        for (const [key, kept] of own) {
          for (const node of place.querySelectorAll(`[data-own="${key}"]`)) node.innerHTML = kept;
        }
      }
    }
  }

  // A chart that hears nothing new says so, and since when; a stream that is lost is told to the page.
  age() {
    const still = performance.now() - this.came;
    const old = Boolean(this.state && ((this.address && !document.hidden && still > SILENT_MS) || this.state.old));
    this.root.toggleAttribute("data-old", old);
    const since = Math.round(still / 1000);
    const words = old && this.state ? `as of ${clock(this.state.at)} UTC` + (since > 3 ? `, ${since} s ago` : "") : "";
    if (this.late.textContent !== words) this.late.textContent = words;
    if (!this.source) return;
    const waited = performance.now() - Math.max(this.opened, this.came);
    const ended = this.source.readyState === EventSource.CLOSED;
    if (ended || (this.source.readyState === EventSource.CONNECTING && waited > SILENT_MS)) this.report(false);
    if (ended && performance.now() - this.opened > AGAIN_MS) {
      this.hush();
      this.listen();
    }
  }

  // ------------------------------------------------------------------------------------------------------- drawing

  soon() {
    if (this.frame || !this.state) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  // The page's own colours, in the mode that this element is shown in.
  colours() {
    const mode = getComputedStyle(this.root).colorScheme + getComputedStyle(this.root).color;
    if (this.mode === mode) return this.inks;
    const probe = this.root.appendChild(document.createElement("i"));
    const inks = {};
    for (const name of ["line", "ink", "muted", "observed", "effect", "effect-text", "counterfactual"]) {
      probe.style.color = `var(--${name})`;
      inks[name] = getComputedStyle(probe).color;
    }
    inks.mono = getComputedStyle(this.root).getPropertyValue("--mono");
    inks.dark = getComputedStyle(this.root).colorScheme.includes("dark");
    probe.remove();
    this.mode = mode;
    return (this.inks = inks);
  }

  paint() {
    const wide = this.plot.clientWidth;
    if (!wide || !this.state) return;
    const [sharp, canvas] = [devicePixelRatio || 1, this.canvas];
    if (canvas.width !== Math.round(wide * sharp) || canvas.height !== Math.round(TALL * sharp)) {
      [canvas.width, canvas.height] = [Math.round(wide * sharp), Math.round(TALL * sharp)];
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    pen.clearRect(0, 0, wide, TALL);
    const [inks, end] = [this.colours(), this.now()];
    const [right, bottom] = [wide - EDGE.right, TALL - EDGE.bottom];
    const begin = end - this.state.span;
    this.x = (t) => EDGE.left + ((t - begin) / (end - begin)) * (right - EDGE.left);
    this.t = (x) => begin + ((x - EDGE.left) / (right - EDGE.left)) * (end - begin);
    this.y = (rate) => bottom - (rate / this.state.top) * (bottom - EDGE.top);
    pen.font = `10.5px ${inks.mono}`;
    this.axes(pen, inks, begin, end, right, bottom);
    pen.save();
    pen.beginPath();
    pen.rect(EDGE.left, 0, right - EDGE.left + 6, TALL);
    pen.clip();
    this.curves(pen, inks, bottom);
    this.labels(pen, inks, begin, end);
    pen.restore();
    this.mark(pen, inks, bottom);
    this.painted += 1;
    this.root.dataset.painted = this.painted;
    this.root.dataset.at = this.state.at;
    this.root.toggleAttribute("data-stands", this.stands);
    if (this.state.taken) this.root.dataset.taken = this.state.taken;
  }

  axes(pen, inks, begin, end, right, bottom) {
    const { top, zero } = this.state;
    const power = 10 ** Math.floor(Math.log10(top / 4));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => top / s <= 5.01);
    pen.lineWidth = 1;
    pen.strokeStyle = inks.line;
    pen.fillStyle = inks.muted;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    pen.setLineDash([1, 3]);
    for (let i = 0; i * step <= top * 1.0001; i++) {
      const y = Math.round(this.y(i * step)) + 0.5;
      this.stroke(pen, [[EDGE.left, y], [right, y]]);
      pen.fillText(String(Number((i * step).toPrecision(6))), EDGE.left - 8, y);
    }
    pen.setLineDash([]);
    this.stroke(pen, [[EDGE.left, bottom + 0.5], [right, bottom + 0.5]]);
    const room = (right - EDGE.left) / 78;
    const apart = STEPS.find((s) => (end - begin) / s <= room) ?? 3600;
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (let t = Math.ceil(begin / apart) * apart; t <= end; t += apart) {
      const x = this.x(t);
      if (x > EDGE.left + 24 && x < right - 20) pen.fillText(clock(zero + t * 1000), x, bottom + 8);
    }
    pen.save();
    pen.translate(12, (EDGE.top + bottom) / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText("conversions / s", 0, -5);
    pen.restore();
  }

  curves(pen, inks, bottom) {
    const { line, model, breaks } = this.state;
    for (const one of breaks) {
      pen.globalAlpha = inks.dark ? 0.14 : 0.28;
      pen.fillStyle = inks.effect;
      pen.fillRect(this.x(one.from), EDGE.top, this.x(one.to) - this.x(one.from), bottom - EDGE.top);
    }
    this.area(pen, inks.counterfactual, 0.2, model.t, model.low, model.high);
    this.area(pen, inks.effect, inks.dark ? 0.32 : 0.55, model.t, model.middle, model.with);
    this.curve(pen, inks.observed, 0.8, 0.35, [], line.t, line.each);
    this.curve(pen, inks.observed, 1.8, 1, [], line.t, line.mean);
    this.curve(pen, inks.counterfactual, 1.6, 1, [5, 3], model.t, model.middle);
    pen.globalAlpha = 1;
    const last = line.mean.findLastIndex((rate) => rate != null);
    if (last >= 0) {
      pen.fillStyle = inks.observed;
      pen.beginPath();
      pen.arc(this.x(line.t[last]), this.y(line.mean[last]), 3.8, 0, 2 * Math.PI);
      pen.fill();
    }
  }

  labels(pen, inks, begin, end) {
    for (const one of this.state.breaks) {
      const x = Math.max(this.x(one.from), EDGE.left);
      pen.globalAlpha = one.many ? 0.35 : 0.7;
      pen.strokeStyle = one.many ? inks.effect : inks["effect-text"];
      this.stroke(pen, [[x, EDGE.top], [x, TALL - EDGE.bottom]]);
      pen.globalAlpha = 1;
      if (one.many) continue;
      const late = one.from > end - 0.2 * (end - begin);
      pen.textAlign = late ? "right" : "left";
      pen.textBaseline = "top";
      const place = x + (late ? -5 : 5);
      pen.font = `600 10.5px ${inks.mono}`;
      pen.fillStyle = inks["effect-text"];
      pen.fillText(one.kind, place, EDGE.top + 4);
      pen.font = `10.5px ${inks.mono}`;
      pen.fillStyle = inks.muted;
      pen.fillText(one.label, place, EDGE.top + 18);
    }
  }

  stroke(pen, points) {
    pen.beginPath();
    points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.stroke();
  }

  curve(pen, ink, width, strength, dash, times, rates) {
    pen.globalAlpha = strength;
    pen.strokeStyle = ink;
    pen.lineWidth = width;
    pen.lineJoin = "round";
    pen.setLineDash(dash);
    pen.beginPath();
    let down = false;
    for (let i = 0; i < times.length; i++) {
      if (rates[i] == null) down = false;
      else if (down) pen.lineTo(this.x(times[i]), this.y(rates[i]));
      else down = pen.moveTo(this.x(times[i]), this.y(rates[i])) ?? true;
    }
    pen.stroke();
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }

  area(pen, ink, strength, times, lower, upper) {
    pen.globalAlpha = strength;
    pen.fillStyle = ink;
    let from = 0;
    for (let i = 0; i <= times.length; i++) {
      if (i < times.length && lower[i] != null && upper[i] != null) continue;
      if (i > from) {
        pen.beginPath();
        for (let k = from; k < i; k++) pen.lineTo(this.x(times[k]), this.y(lower[k]));
        for (let k = i - 1; k >= from; k--) pen.lineTo(this.x(times[k]), this.y(upper[k]));
        pen.fill();
      }
      from = i + 1;
    }
    pen.globalAlpha = 1;
  }

  // ------------------------------------------------------------------------------------------- reading at a moment

  reading() {
    const read = (event) => {
      if (!this.state || !this.t) return;
      this.at = this.t(event.clientX - this.plot.getBoundingClientRect().left);
      this.soon();
    };
    const leave = () => {
      this.at = null;
      this.tip.hidden = true;
      this.soon();
    };
    this.plot.addEventListener("pointermove", read);
    this.plot.addEventListener("pointerdown", read);
    this.plot.addEventListener("pointerleave", leave);
    this.cursor.addEventListener("blur", leave);
    this.cursor.addEventListener("keydown", (event) => {
      if (!this.state) return;
      const [now, span] = [this.now(), this.state.span];
      const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -30, PageUp: 30 }[event.key];
      if (event.key === "Escape") leave();
      else if (event.key === "Home") this.at = now - span;
      else if (event.key === "End") this.at = now;
      else if (by) this.at = Math.min(Math.max((this.at ?? now) + by, now - span), now);
      else return;
      event.preventDefault();
      this.soon();
    });
  }

  // The nearest point of a curve to the cursor, where there is one within two of its steps.
  nearest(times) {
    let best = -1;
    for (let i = 0; i < times.length; i++) {
      if (best < 0 || Math.abs(times[i] - this.at) < Math.abs(times[best] - this.at)) best = i;
    }
    const step = times.length > 1 ? times[1] - times[0] : 1;
    return best >= 0 && Math.abs(times[best] - this.at) <= 2 * step ? best : -1;
  }

  mark(pen, inks, bottom) {
    if (this.at == null) return;
    const { line, model, zero } = this.state;
    this.at = Math.min(Math.max(this.at, this.now() - this.state.span), this.now());
    const [seen, fitted] = [this.nearest(line.t), this.nearest(model.t)];
    const x = this.x(this.at);
    pen.strokeStyle = inks.muted;
    this.stroke(pen, [[x, EDGE.top], [x, bottom]]);
    const rows = [[`${clock(zero + this.at * 1000)} UTC`, ""]];
    if (seen >= 0) rows.push(["observed", said(line.each[seen])], [`${this.state.smoothed}-s mean`, said(line.mean[seen])]);
    if (fitted >= 0) {
      rows.push(["counterfactual", said(model.middle[fitted])]);
      rows.push(["its band", `${said(model.low[fitted])} to ${said(model.high[fitted])}`]);
      const ad = model.with[fitted] == null ? null : model.with[fitted] - model.middle[fitted];
      rows.push(["incremental", said(ad)]);
    }
    this.tip.replaceChildren(
      ...rows.flatMap((row) => row.map((text, i) => Object.assign(document.createElement(i ? "b" : "span"), { textContent: text }))),
    );
    this.tip.hidden = false;
    this.tip.style.left = `${x > this.plot.clientWidth / 2 ? x - this.tip.offsetWidth - 12 : x + 12}px`;
    const words = rows.map((row) => row.join(" ").trim()).join(", ");
    this.cursor.setAttribute("aria-valuemax", Math.round(this.state.span));
    this.cursor.setAttribute("aria-valuenow", Math.round(this.at - this.now() + this.state.span));
    this.cursor.setAttribute("aria-valuetext", words);
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".velocity");
  root.chart ??= new Chart(root);
  root.chart.take(component.data, component.setStateValue);
  return () => {
    root.chart?.close();
    root.chart = null;
  };
}
