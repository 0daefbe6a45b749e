// Painting a mask over the photo, with pointer or keys: white where it counts.

import * as api from "./api.js";
import { h, tool, unique } from "./dom.js";
import { t } from "./i18n.js";
import { complain } from "./say.js";

const LONGEST = 1024;

// Resolves to the id of the mask, to null where it is empty, to undefined where it was given up.
export async function paintMask(viewer, photo, title, before) {
  await viewer.show({ right: api.view(photo.id), subject: unique("mask"), mode: "only" });
  const [w, hh] = viewer.size;
  const scale = Math.min(1, LONGEST / Math.max(w, hh));
  const pad = h("canvas", { class: "brushpad", width: Math.round(w * scale), height: Math.round(hh * scale), tabindex: "0", role: "application", "aria-label": `${title}. ${t("brush.help")}` });
  const brush = new Brush(pad, viewer);
  if (before) await brush.load(api.view(before));
  viewer.overlay = pad;
  viewer.brush = brush;
  viewer.root.classList.add("brushing");
  viewer.renew();
  viewer.note.textContent = t("brush.help");
  viewer.fit();
  pad.focus();
  return new Promise((done) => {
    const close = (value) => {
      viewer.overlay = viewer.brush = null;
      viewer.root.classList.remove("brushing");
      viewer.signature = "";
      bar.remove();
      brush.spot.remove();
      viewer.reset?.();
      done(value);
    };
    const finish = async () => {
      const blob = await brush.blob();
      if (!blob) return close(null);
      try {
        return close((await api.upload(blob, `${title}.png`)).id);
      } catch (trouble) {
        return complain(trouble);
      }
    };
    const bar = makeBar(brush, title, finish, () => close(undefined));
    viewer.giveUp = () => close(undefined);
    viewer.root.append(bar);
    pad.addEventListener("keydown", (event) => event.key === "Escape" && close(undefined));
  });
}

function makeBar(brush, title, finish, giveUp) {
  const size = h("input", { type: "range", min: "1", max: "40", step: "0.5", id: unique("brush"), oninput: () => (brush.radius = Number(size.value)) });
  size.value = String(brush.radius);
  const erase = tool("close", t("brush.erase"), () => {
    brush.erasing = !brush.erasing;
    erase.setAttribute("aria-pressed", String(brush.erasing));
  }, { pressed: false, shown: true });
  return h("div", { class: "brushbar", role: "toolbar", "aria-label": title },
    h("strong", {}, title),
    h("label", { class: "unseen", for: size.id }, t("brush.size")),
    size, erase,
    h("button", { type: "button", class: "pill", onclick: () => brush.flood(true) }, t("brush.fill")),
    h("button", { type: "button", class: "pill", onclick: () => brush.flood(false) }, t("brush.clear")),
    h("span", { class: "gap" }),
    h("button", { type: "button", class: "pill", onclick: giveUp }, t("cancel")),
    h("button", { type: "button", class: "pill set", onclick: finish }, t("done")));
}

class Brush {
  constructor(pad, viewer) {
    this.pad = pad;
    this.viewer = viewer;
    this.ink = pad.getContext("2d", { willReadFrequently: true });
    this.radius = 6; // percent of the longest side
    this.erasing = false;
    this.at = [pad.width / 2, pad.height / 2];
    this.spot = h("div", { class: "spot" });
    pad.addEventListener("pointerdown", (event) => {
      pad.setPointerCapture(event.pointerId);
      this.from = this.place(event);
      this.stroke(this.from);
    });
    pad.addEventListener("pointermove", (event) => {
      this.at = this.place(event);
      this.point();
      if (this.from) this.stroke(this.at);
    });
    for (const kind of ["pointerup", "pointercancel"]) pad.addEventListener(kind, () => (this.from = null));
    pad.addEventListener("keydown", (event) => this.press(event));
  }

  place(event) {
    const box = this.pad.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * this.pad.width, ((event.clientY - box.top) / box.height) * this.pad.height];
  }

  press(event) {
    const step = Math.max(this.pad.width, this.pad.height) / 50;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key in moves) this.at = this.at.map((v, i) => Math.max(0, Math.min([this.pad.width, this.pad.height][i], v + moves[event.key][i])));
    else if (event.key !== " ") return;
    if (event.key === " ") this.dab(this.at);
    event.preventDefault();
    event.stopPropagation();
    this.point();
  }

  point() {
    const shown = this.pad.getBoundingClientRect();
    const box = this.viewer.root.getBoundingClientRect();
    const scale = shown.width / this.pad.width;
    const radius = this.pixels * scale;
    Object.assign(this.spot.style, {
      left: `${shown.left - box.left + this.at[0] * scale}px`,
      top: `${shown.top - box.top + this.at[1] * scale}px`,
      width: `${2 * radius}px`,
      height: `${2 * radius}px`,
    });
    if (!this.spot.isConnected) this.viewer.root.append(this.spot);
  }

  get pixels() {
    return (this.radius / 100) * Math.max(this.pad.width, this.pad.height);
  }

  stroke(to) {
    const [x, y] = this.from ?? to;
    const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - x, to[1] - y) / (this.pixels / 3)));
    for (let i = 1; i <= steps; i += 1) this.dab([x + ((to[0] - x) * i) / steps, y + ((to[1] - y) * i) / steps]);
    this.from = to;
  }

  dab([x, y]) {
    this.ink.globalCompositeOperation = this.erasing ? "destination-out" : "source-over";
    this.ink.fillStyle = "#fff";
    this.ink.beginPath();
    this.ink.arc(x, y, this.pixels, 0, 2 * Math.PI);
    this.ink.fill();
  }

  flood(on) {
    this.ink.globalCompositeOperation = "source-over";
    this.ink.clearRect(0, 0, this.pad.width, this.pad.height);
    this.ink.fillStyle = "#fff";
    if (on) this.ink.fillRect(0, 0, this.pad.width, this.pad.height);
  }

  // A mask that was painted before: black becomes clear again.
  async load(path) {
    const image = new Image();
    image.src = path;
    await image.decode().catch(() => null);
    if (!image.naturalWidth) return;
    this.ink.drawImage(image, 0, 0, this.pad.width, this.pad.height);
    const data = this.ink.getImageData(0, 0, this.pad.width, this.pad.height);
    for (let i = 0; i < data.data.length; i += 4) {
      data.data[i + 3] = data.data[i];
      data.data.fill(255, i, i + 3);
    }
    this.ink.putImageData(data, 0, 0);
  }

  // White on black, or null where nothing was painted.
  async blob() {
    const { width, height } = this.pad;
    const marks = this.ink.getImageData(0, 0, width, height).data;
    if (!marks.some((v, i) => i % 4 === 3 && v > 0)) return null;
    const sheet = h("canvas", { width, height });
    const ink = sheet.getContext("2d");
    ink.fillStyle = "#000";
    ink.fillRect(0, 0, width, height);
    ink.drawImage(this.pad, 0, 0);
    return new Promise((done) => sheet.toBlob(done, "image/png"));
  }
}
