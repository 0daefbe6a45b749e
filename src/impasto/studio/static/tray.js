// Slots for pictures: drop, paste, choose a file, a sample, or one that was here before.

import * as api from "./api.js";
import { fill, h, icon, unique } from "./dom.js";
import { fieldName, t } from "./i18n.js";
import { complain, say } from "./say.js";

// A picture as slots show it: { id, name, thumb }.
export const shown = (picture) => ({ id: picture.id, name: picture.name, kind: picture.kind, width: picture.width, height: picture.height });

export class Tray {
  // `field` is one of the server's; `changed` hears of every change.
  constructor(field, { title, kind, changed, restored }) {
    this.field = field;
    this.several = field.kind === "pictures" || field.kind === "folder";
    this.most = this.several ? (field.most ?? 8) : 1;
    this.model = field.kind === "model";
    this.kind = kind;
    this.changed = changed;
    this.restored = restored;
    this.pictures = [];
    this.list = h("div", { class: `slots ${this.most === 1 ? "one" : ""}` });
    this.root = h("fieldset", { class: "block" }, h("legend", {}, title ?? fieldName(field.name)), this.list);
    this.draw();
  }

  get value() {
    const ids = this.pictures.map((p) => p.id);
    if (!ids.length) return undefined;
    return this.several ? ids : ids[0];
  }

  set(pictures) {
    this.pictures = pictures.slice(0, this.most);
    this.draw();
  }

  take(picture) {
    if (this.most === 1) this.pictures = [picture];
    else if (this.pictures.length < this.most) this.pictures = [...this.pictures, picture];
    this.draw();
    this.changed();
  }

  draw() {
    const full = this.pictures.map((picture, i) => this.slot(picture, i));
    const room = this.pictures.length < this.most;
    fill(this.list, full, room ? this.adder() : null);
  }

  slot(picture, place) {
    const drop = () => {
      this.pictures = this.pictures.filter((_, i) => i !== place);
      this.draw();
      this.changed();
      this.list.querySelector(".add")?.focus();
    };
    const off = h("button", { type: "button", class: "off", "aria-label": t("remove", { name: picture.name }), onclick: drop }, icon("close"));
    const face = this.model ? h("span", { class: "tagged" }, picture.name) : h("img", { src: api.thumb(picture.id), alt: picture.name });
    return dropping(h("div", { class: "slot" }, face, this.model ? null : h("span", { class: "tagged" }, picture.name), off), (files) => {
      this.pictures.splice(place, 1);
      bring(files, this);
    });
  }

  adder() {
    const words = this.most > 1 && this.pictures.length ? t("drop.many") : t("drop");
    const add = h("button", { type: "button", class: "add", "aria-label": `${fieldName(this.field.name)}: ${words}`, onclick: () => choose(this) }, icon("plus"), h("span", {}, words));
    return dropping(h("div", { class: "slot empty-slot" }, add), (files) => bring(files, this));
  }
}

export function dropping(element, took) {
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    element.classList.remove("over");
    took([...event.dataTransfer.files]);
  });
  return element;
}

// Bring files in and put them into a tray; a picture with settings offers them.
export async function bring(files, tray) {
  for (const file of files) {
    try {
      say(t("uploading", { name: file.name ?? "" }));
      const picture = await api.upload(file);
      if (picture.settings) tray.restored?.(picture, () => tray.take(shown(picture)));
      else tray.take(shown(picture));
      if (!picture.settings) say(picture.name);
    } catch (trouble) {
      complain(trouble);
    }
  }
}

let samples = [];
let models = [];
export const setKnown = (house) => ([samples, models] = [house.samples, house.models]);

export async function takeSample(name, tray) {
  try {
    tray.take(shown(await api.sample(name)));
  } catch (trouble) {
    complain(trouble);
  }
}

export function askFile(took, accept = "image/*,.heic,.safetensors", many = false) {
  const input = h("input", { type: "file", accept, multiple: many, onchange: () => took([...input.files]) });
  input.click();
}

function choose(tray) {
  const heading = unique("title");
  const dialog = h("dialog", { "aria-labelledby": heading });
  const close = () => dialog.close();
  const took = (act) => () => {
    close();
    act();
  };
  const file = h("button", { type: "button", class: "go", onclick: () => askFile((files) => took(() => bring(files, tray))(), undefined, tray.most > 1) }, t("choose"));
  const rows = [...samples].sort((a, b) => (b.kind === tray.kind) - (a.kind === tray.kind));
  const examples = rows.map((row) => tile(row.example, row.name.replaceAll("_", " "), took(() => takeSample(row.name, tray))));
  const named = models.map((row) => tile(null, row.name, took(() => tray.take({ id: row.name, name: row.name, kind: "model" })), row.summary));
  const recent = h("div", { class: "wall" });
  const own = h("section", { class: "block", hidden: true }, h("p", { class: "label" }, t("recent")), recent);
  fill(dialog,
    h("div", { class: "dialog-head" }, h("h2", { id: heading }, fieldName(tray.field.name)),
      h("button", { type: "button", class: "tool", "aria-label": t("close"), onclick: close }, icon("close"))),
    h("div", { class: "dialog-body" }, file,
      tray.model ? (named.length ? h("section", { class: "block" }, h("div", { class: "wall" }, named)) : null) : h("section", { class: "block" }, h("p", { class: "label" }, t("samples")), h("div", { class: "wall" }, examples)), own));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  document.body.append(dialog);
  dialog.showModal();
  api.get("/api/uploads").then((pictures) => {
    const fit = pictures.filter((p) => (p.kind === "model") === tray.model && p.kind !== "sample");
    fill(recent, fit.map((p) => tile(tray.model ? null : api.thumb(p.id), p.name, took(() => tray.take(shown(p))))));
    own.hidden = !fit.length;
  }).catch(complain);
}

function tile(src, name, onclick, about = null) {
  return h("button", { type: "button", onclick, title: about, class: src ? "" : "pill", "aria-label": t("take", { name }) }, src ? h("img", { src, alt: "", loading: "lazy" }) : null, h("span", {}, name));
}
