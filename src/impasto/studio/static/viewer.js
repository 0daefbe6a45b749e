// The easel: one picture or two, zoomed and moved together; a line between before and after.

import { fill, h, icon, tool } from "./dom.js";
import { t } from "./i18n.js";

const STEP = 1.3;
const MOST = 32;

export class Viewer {
  constructor(root) {
    this.root = root;
    this.mode = "slider";
    this.scale = 1;
    this.x = this.y = 0;
    this.part = 50;
    // Pictures come in the order in which they load; one asked for before what is shown is late.
    this.asked = this.shown = 0;
    this.pointers = new Map();
    this.left = this.right = null;
    this.labels = ["", ""];
    this.overlay = null;
    new ResizeObserver(() => this.place()).observe(root);
  }

  // Nothing but words.
  blank(...children) {
    this.shown = this.asked += 1;
    this.left = this.right = null;
    this.frame = null;
    this.signature = "";
    fill(this.root, h("div", { class: "empty" }, ...children));
  }

  // Show `right`, and `left` beside or under it. A new subject is fitted; a new preview is not.
  async show({ left = null, right, labels = [t("before"), t("after")], mode = null, subject = right, note = "" }) {
    const turn = (this.asked += 1);
    const picture = await load(right);
    const other = left ? await load(left) : null;
    if (!picture || turn < this.shown) return;
    this.shown = turn;
    const signature = `${subject} ${left}`;
    const fresh = signature !== this.signature || !this.frame;
    this.signature = signature;
    // A preview of the next scale has more pixels: the zoom stays what the eye sees.
    if (!fresh && !this.fitted) this.scale *= this.size[0] / picture.naturalWidth;
    this.right = picture;
    this.left = other;
    this.labels = labels;
    if (mode) this.mode = mode;
    else if (fresh) this.mode = other ? "slider" : "only";
    if (!other) this.mode = "only";
    if (fresh) this.build();
    else this.renew();
    this.note.textContent = note;
    if (fresh) this.fit();
    else this.place();
  }

  renew() {
    this.panes.forEach((pane) => {
      const source = pane.dataset.side === "left" ? this.left : this.right;
      if (source) pane.replaceChildren(source.cloneNode());
    });
    if (this.overlay) this.panes.at(-1).append(this.overlay);
  }

  build() {
    const side = this.mode === "side";
    const left = this.left && this.mode !== "only" ? pane("left", this.left) : null;
    const right = pane("right", this.right);
    this.panes = [left, right].filter(Boolean);
    this.line = this.mode === "slider" ? this.makeLine() : null;
    const windows = side
      ? this.panes.map((p, i) => h("div", { class: "window" }, p, h("span", { class: "tag" }, this.labels[i])))
      : [h("div", { class: "window" }, right, left, this.line, ...this.tags())];
    this.frame = h("div", { class: `frame ${side ? "side" : ""}`, tabindex: "0", role: "group", "aria-label": t("easel") }, windows);
    this.windows = windows;
    this.note = h("p", { class: "note" });
    fill(this.root, this.frame, this.note, this.makeTools());
    this.listen();
    if (this.overlay) right.append(this.overlay);
  }

  tags() {
    if (this.mode !== "slider") return [];
    return [h("span", { class: "tag" }, this.labels[0]), h("span", { class: "tag end" }, this.labels[1])];
  }

  makeLine() {
    const input = h("input", {
      type: "range", min: "0", max: "100", step: "0.5", class: "divide", "aria-label": t("slider"),
      oninput: () => {
        this.part = Number(input.value);
        this.place();
      },
    });
    input.value = String(this.part);
    this.grip = h("div", { class: "grip" }, h("span", {}, icon("slide")));
    return h("div", { class: "line" }, this.grip, input);
  }

  makeTools() {
    const modes = this.left
      ? [["slider", "slide"], ["side", "split"], ["only", "one"]].map(([mode, name]) =>
          tool(name, t(mode), () => this.turn(mode), { pressed: this.mode === mode }))
      : [];
    this.percent = h("span", { class: "percent" });
    return h("div", { class: "tools", role: "toolbar" },
      modes.length ? h("div", { class: "group" }, modes) : null,
      h("div", { class: "group" },
        tool("minus", t("zoomout"), () => this.zoom(1 / STEP)),
        this.percent,
        tool("plus", t("zoomin"), () => this.zoom(STEP)),
        tool("fit", t("fit"), () => this.fit())));
  }

  turn(mode) {
    this.mode = mode;
    this.build();
    this.fit();
  }

  get size() {
    return [this.right.naturalWidth || 1, this.right.naturalHeight || 1];
  }

  get room() {
    const box = this.windows[0].getBoundingClientRect();
    return [box.width || 1, box.height || 1];
  }

  fit() {
    const [w, hh] = this.size;
    const [W, H] = this.room;
    this.scale = Math.min(W / w, H / hh) * 0.97;
    this.x = (W - w * this.scale) / 2;
    this.y = (H - hh * this.scale) / 2;
    this.fitted = true;
    this.place();
  }

  zoom(factor, at = null) {
    const [W, H] = this.room;
    const [cx, cy] = at ?? [W / 2, H / 2];
    const next = Math.min(MOST, Math.max(0.02, this.scale * factor));
    this.x = cx - ((cx - this.x) * next) / this.scale;
    this.y = cy - ((cy - this.y) * next) / this.scale;
    this.scale = next;
    this.fitted = false;
    this.place();
  }

  move(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.place();
  }

  place() {
    if (!this.frame?.isConnected) return;
    const [w, hh] = this.size;
    const [W, H] = this.room;
    if (this.fitted) {
      this.scale = Math.min(W / w, H / hh) * 0.97;
      this.x = (W - w * this.scale) / 2;
      this.y = (H - hh * this.scale) / 2;
    }
    for (const one of this.panes) {
      one.style.width = `${w * this.scale}px`;
      one.style.height = `${hh * this.scale}px`;
      one.style.transform = `translate(${this.x}px, ${this.y}px)`;
      one.classList.toggle("pixels", this.scale >= 4 && !this.fitted);
    }
    this.percent.textContent = `${Math.round(this.scale * 100)} %`;
    if (this.mode === "slider" && this.panes.length === 2) {
      const at = (this.part / 100) * W;
      const cut = Math.min(100, Math.max(0, ((at - this.x) / (w * this.scale)) * 100));
      this.panes[0].style.clipPath = `inset(0 ${100 - cut}% 0 0)`;
      this.grip.style.left = `${at}px`;
    }
  }

  listen() {
    const frame = this.frame;
    frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), this.point(event));
    }, { passive: false });
    frame.addEventListener("pointerdown", (event) => {
      if (this.brush || event.target.closest("button, input")) return;
      frame.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    frame.addEventListener("pointermove", (event) => this.drag(event));
    for (const kind of ["pointerup", "pointercancel"])
      frame.addEventListener(kind, (event) => this.pointers.delete(event.pointerId));
    frame.addEventListener("dblclick", (event) => {
      if (event.target.closest("button, input")) return;
      if (this.fitted) this.zoom(1 / this.scale, this.point(event));
      else this.fit();
    });
    frame.addEventListener("keydown", (event) => this.press(event));
  }

  point(event) {
    const box = (event.target.closest(".window") ?? this.windows[0]).getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
      const box = this.windows[0].getBoundingClientRect();
      this.zoom(apart(now) / apart(before), [(now[0] + other[0]) / 2 - box.left, (now[1] + other[1]) / 2 - box.top]);
    } else {
      this.move(now[0] - before[0], now[1] - before[1]);
    }
    this.pointers.set(event.pointerId, now);
  }

  press(event) {
    if (event.target !== this.frame || this.brush) return;
    const moves = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    if (event.key in moves) this.move(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(STEP);
    else if (event.key === "-") this.zoom(1 / STEP);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }
}

function pane(side, image) {
  return h("div", { class: `pane ${side}`, data: { side } }, image.cloneNode());
}

function load(path) {
  return new Promise((done) => {
    const image = new Image();
    image.alt = "";
    image.draggable = false;
    image.onload = () => done(image);
    image.onerror = () => done(null);
    image.src = path;
  });
}
