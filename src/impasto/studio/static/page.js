// The bench of a verb: made from what the server says of its fields, with friendlier controls for
// a few of them. Nothing here knows which verbs there are.

import * as api from "./api.js";
import * as dials from "./dials.js";
import { fill, h, icon } from "./dom.js";
import { fieldName, or, t } from "./i18n.js";
import { paintMask } from "./mask.js";
import { complain, say } from "./say.js";
import { Tray, shown } from "./tray.js";

const PICTURES = new Set(["picture", "pictures", "folder", "model"]);
// The order in which a person thinks of them; the others follow as the server has them.
const ORDER = ["name", "recipe", "style_weight", "style_scale", "colors", "quality", "size"];
const SIZES = [256, 512, 768, 1024, 1600];

export class Page {
  // `house` is the catalogue; `sent` hears of new jobs; `restored` of pictures with settings.
  constructor(form, house, { sent, restored, viewer, changed }) {
    this.form = form;
    this.house = house;
    this.sent = sent;
    this.viewer = viewer;
    this.outside = changed;
    this.controls = new Map();
    this.trays = new Map();
    this.masks = new Map();
    this.init = undefined;
    for (const field of form.fields) this.make(field, restored);
  }

  // Which control a field has.
  make(field, restored) {
    const changed = () => this.changed();
    const name = field.name;
    if (this.isMask(field)) this.masks.set(name, []);
    else if (PICTURES.has(field.kind)) this.trays.set(name, this.tray(field, restored));
    else if (field.kind === "start") this.init = undefined;
    else this.controls.set(name, this.friendly(field, changed) ?? dials.control({ ...field, suggestions: this.names(field) }, changed));
  }

  isMask(field) {
    return ["keep", "mask"].includes(field.name) && PICTURES.has(field.kind);
  }

  tray(field, restored) {
    const kind = /^(content|image|photo)$/.test(field.name) ? "photo" : "painting";
    return new Tray(field, { kind, changed: () => this.changed(), restored });
  }

  friendly(field, changed) {
    const { name } = field;
    const own = this.house.recipes.find((r) => r.name === field.default);
    if (name === "recipe" && own) {
      const rows = this.house.recipes.filter((r) => r.texture === own.texture);
      return dials.gallery(field, () => { this.refreshQuality(); changed(); }, rows, paper);
    }
    if (name === "name" && this.form.verb === "filter") return this.filters(field, changed);
    if (name === "set" && this.form.verb === "filter") return this.parameters(field);
    if (name === "style_weight" && this.form.verb === "stylize") {
      const base = () => this.controls.get("recipe")?.row?.style_weight ?? 20;
      return dials.factor(field, changed, { low: 0.1, high: 10, ends: [t("fainter"), t("stronger")], base });
    }
    if (name === "style_scale") return dials.factor(field, changed, { low: 0.3, high: 3, ends: [t("finer"), t("coarser")], list: true });
    if (name === "size" && field.kind === "integer") return dials.sizes(field, changed, SIZES.filter((s) => s <= field.high));
    if (name === "colors" || name === "quality") return dials.choice(field, changed);
    return null;
  }

  names(field) {
    if (field.name === "backbone" || field.name === "classifier") return this.house.backbones.map((b) => b.name);
    return [];
  }

  refreshQuality() {
    const known = this.controls.get("recipe")?.row?.qualities;
    const weight = this.controls.get("style_weight");
    if (weight?.root) {
      // A method of one pass has no weights.
      weight.root.hidden = Boolean(this.controls.get("recipe")?.row?.instant);
      if (weight.root.hidden) weight.set(undefined);
    }
    for (const input of this.controls.get("quality")?.root.querySelectorAll("input") ?? []) {
      const off = Boolean(known && input.value && !known.includes(input.value));
      input.closest("label").hidden = off;
      if (off && input.checked) this.controls.get("quality").set(undefined);
    }
  }

  // A filter by its picture, and its own dials below.
  filters(field, changed) {
    this.knobs = new Map();
    const below = (row) => {
      this.knobs = new Map(row.parameters.map((p) => [p.name, dials.control(knob(p), () => this.changed())]));
      return row.parameters.length ? h("div", { class: "folded" }, [...this.knobs.values()].map((k) => k.root)) : null;
    };
    return dials.gallery(field, changed, this.house.filters, below);
  }

  parameters() {
    return {
      root: null,
      get value() {
        return undefined;
      },
      set: (items) => {
        for (const item of items ?? []) {
          const [key, value] = item.split("=");
          this.knobs.get(key)?.set(value === "on" ? true : value === "off" ? false : Number.isNaN(Number(value)) ? value : Number(value));
        }
      },
      collect: () => {
        const pairs = [...(this.knobs ?? [])].filter(([, k]) => k.value !== undefined).map(([key, k]) => `${key}=${k.value === true ? "on" : k.value === false ? "off" : k.value}`);
        return pairs.length ? pairs : undefined;
      },
    };
  }

  // Draw into the bench.
  show(bench) {
    const byName = (name) => this.form.fields.find((f) => f.name === name);
    const roots = [...this.controls].filter(([, c]) => c.root);
    const place = ([name]) => (ORDER.indexOf(name) + 1 || ORDER.length + 1);
    const front = roots.filter(([name]) => byName(name).dial).sort((a, b) => place(a) - place(b)).map(([, c]) => c.root);
    const rest = roots.filter(([name]) => !byName(name).dial).map(([, c]) => c.root);
    const trays = [...this.trays].sort(([a], [b]) => byName(b).required - byName(a).required);
    const inFront = ([name]) => byName(name).required || !name.includes("mask");
    const main = trays.filter(inFront).map(([, tray]) => tray.root);
    const extra = trays.filter((entry) => !inFront(entry)).map(([, tray]) => tray.root);
    this.regions = h("div", { class: "block" });
    this.button = h("button", { type: "button", class: "go", id: "go", onclick: () => this.submit() }, or(`go.${this.form.verb}`, t("go.other")));
    this.lack = h("p", { class: "missing", id: "lack" });
    this.button.setAttribute("aria-describedby", "lack");
    const folded = h("details", { class: "fold" }, h("summary", {}, t("more")), h("div", { class: "folded" }, this.masks.size ? this.regions : null, extra, rest));
    folded.open = this.open ?? false;
    folded.addEventListener("toggle", () => (this.open = folded.open));
    fill(bench,
      h("div", { class: "bench-body" }, main, front, rest.length || extra.length || this.masks.size ? folded : null),
      h("div", { class: "bench-foot" }, this.button, this.lack));
    if (this.controls.has("recipe") && this.controls.has("quality")) this.refreshQuality();
    this.drawRegions();
    this.changed();
  }

  changed() {
    if (!this.button) return;
    const missing = this.missing();
    this.button.setAttribute("aria-disabled", String(missing.length > 0));
    this.lack.textContent = missing.length ? t("needs", { names: missing.join(", ") }) : "";
    this.drawRegions();
    this.outside();
  }

  missing() {
    const names = this.form.fields.filter((f) => f.required).map((f) => f.name);
    const row = this.form.verb === "filter" ? this.controls.get("name")?.row : null;
    if (row?.needs_reference) names.push("reference");
    return names.filter((name) => this.valueOf(name) === undefined).map(fieldName);
  }

  valueOf(name) {
    if (this.trays.has(name)) return this.trays.get(name).value;
    if (this.masks.has(name)) return this.maskValue(name);
    const found = this.controls.get(name);
    return found?.collect ? found.collect() : found?.value;
  }

  // The request as it is set now.
  get spec() {
    const entries = this.form.fields.map((f) => [f.name, f.kind === "start" ? this.init : this.valueOf(f.name)]);
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  }

  // The photo that is worked on, for the easel.
  get photo() {
    const [first] = [...this.trays.values()];
    return first?.pictures[0] ?? null;
  }

  async submit() {
    if (this.missing().length) {
      say(this.lack.textContent, true);
      this.trays.values().next().value?.root.querySelector(".add")?.focus();
      return;
    }
    this.button.setAttribute("aria-disabled", "true");
    try {
      const spec = this.spec;
      const first = await this.instant(spec);
      this.sent(await api.addJob(this.form.verb, spec), first);
    } catch (trouble) {
      complain(trouble);
    }
    this.changed();
  }

  // Where a method answers at once, it goes first.
  async instant(spec) {
    const quick = this.house.instant;
    const own = this.house.recipes.find((r) => r.name === (spec.recipe ?? "impasto"));
    if (this.form.verb !== "stylize" || !quick || own?.instant || spec.quality === "instant") return null;
    const { content, style, size, seed, alpha } = spec;
    const plain = Object.fromEntries(Object.entries({ content, style: style.slice(0, 1), size, seed, alpha }).filter(([, v]) => v !== undefined));
    return api.addJob("stylize", { ...plain, ...quick }).catch(() => null);
  }

  // Put the settings of a job or a picture back.
  async restore(spec) {
    for (const [name, control] of this.controls) if (name !== "set") control.set(spec[name]);
    this.controls.get("set")?.set(spec.set);
    for (const [name, tray] of this.trays) tray.set(await about(spec[name]));
    for (const name of this.masks.keys()) this.masks.set(name, [spec[name] ?? []].flat());
    this.init = this.form.fields.some((f) => f.kind === "start") ? spec.init : undefined;
    if (this.button) this.changed();
  }

  // Regions: what stays, and where each painting goes.
  drawRegions() {
    if (!this.masks.size || !this.regions) return;
    const count = this.trays.get("style")?.pictures.length ?? 1;
    const pills = [];
    if (this.masks.has("keep")) pills.push(this.pill("keep", 0, t("regions.keep")));
    if (this.masks.has("mask"))
      for (let i = 0; i < count; i += 1) pills.push(this.pill("mask", i, count > 1 ? t("regions.style", { n: i + 1 }) : t("regions.only")));
    fill(this.regions, h("p", { class: "label" }, t("regions")), h("p", { class: "hint" }, t("regions.help")), h("div", { class: "pills" }, pills));
  }

  pill(name, place, words) {
    const set = Boolean(this.masks.get(name)[place]);
    const start = async () => {
      if (!this.photo) return say(t("needs", { names: fieldName("content") }), true);
      const done = await paintMask(this.viewer, this.photo, words, this.masks.get(name)[place]);
      if (done === undefined) return undefined;
      this.masks.get(name)[place] = done ?? undefined;
      this.everywhere ??= name === "mask" ? await whole() : undefined;
      return this.changed();
    };
    const clear = () => {
      this.masks.get(name)[place] = undefined;
      this.changed();
    };
    return [
      h("button", { type: "button", class: `pill ${set ? "set" : ""}`, onclick: start }, icon("brush"), words),
      set ? h("button", { type: "button", class: "pill", "aria-label": t("remove", { name: words }), onclick: clear }, icon("close")) : null,
    ];
  }

  maskValue(name) {
    const ids = this.masks.get(name);
    const field = this.form.fields.find((f) => f.name === name);
    if (!ids.some(Boolean)) return undefined;
    if (field.kind === "picture") return ids[0];
    const count = this.trays.get("style")?.pictures.length ?? 1;
    return Array.from({ length: count }, (_, i) => ids[i] ?? this.everywhere).filter(Boolean);
  }
}

// A mask that is white all over, for paintings that may go anywhere.
async function whole() {
  const sheet = h("canvas", { width: 32, height: 32 });
  const ink = sheet.getContext("2d");
  ink.fillStyle = "#fff";
  ink.fillRect(0, 0, 32, 32);
  const blob = await new Promise((done) => sheet.toBlob(done, "image/png"));
  return (await api.upload(blob, "everywhere.png")).id;
}

function paper(row) {
  return row.paper ? h("p", { class: "hint" }, `${t("paper")}: ${row.paper}`) : null;
}

// A parameter of a filter as a field.
function knob(p) {
  const kinds = { boolean: "switch", string: "choice" };
  const kind = kinds[typeof p.default] ?? (Number.isInteger(p.default) && Number.isInteger(p.low) ? "integer" : "number");
  const bounded = p.high !== null && p.high < 1e6;
  return { name: p.name, kind, help: p.help, default: p.default, low: p.low, high: bounded ? p.high : null, choices: p.choices, required: false };
}

async function about(ids) {
  const one = (id) => (id.length === 36 ? api.get(`/api/pictures/${id}/about`).then(shown).catch(() => null) : { id, name: id, kind: "model" });
  const found = await Promise.all([ids ?? []].flat().map(one));
  return found.filter(Boolean);
}
