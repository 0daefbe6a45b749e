// Controls of fields. Each has `root`, `value` (undefined: the default) and `set`.

import { fill, h, unique } from "./dom.js";
import { fieldName, or, t } from "./i18n.js";

const helpOf = (field) => or(`help.${field.name}`, field.help);

function labelled(field, control, value = null) {
  const hint = unique("hint");
  control.setAttribute("aria-describedby", hint);
  if (!control.id) control.id = unique("field");
  return h("div", { class: "row" }, h("label", { class: "label", for: control.id }, fieldName(field.name), value), control, h("p", { class: "hint", id: hint }, helpOf(field)));
}

// The control of any field, from what the server says of it.
export function control(field, changed) {
  if (field.kind === "choice") return choice(field, changed);
  if (field.kind === "switch") return toggle(field, changed);
  if (field.kind === "integer" || field.kind === "number") {
    const bounded = field.low !== null && field.high !== null && field.high - field.low <= 100;
    return bounded && field.default !== null ? slider(field, changed) : number(field, changed);
  }
  return text(field, changed);
}

export function choice(field, changed, { allowed = field.choices, hint = false } = {}) {
  const group = unique("choice");
  const options = field.required || field.default !== null ? allowed : ["", ...allowed];
  const inputs = options.map((value) => {
    const input = h("input", { type: "radio", name: group, value, onchange: changed });
    input.checked = value === (field.default ?? "");
    const word = value === "" ? t("automatic") : or(`choice.${field.name}.${value}`, value);
    return [input, h("label", {}, input, h("span", {}, word))];
  });
  const radios = inputs.map(([input]) => input);
  const root = h("fieldset", { class: "block" }, h("legend", {}, fieldName(field.name)), h("div", { class: "choices" }, inputs.map(([, label]) => label)), hint ? h("p", { class: "hint" }, helpOf(field)) : null);
  return {
    root,
    get value() {
      const found = radios.find((r) => r.checked)?.value;
      return found === "" || found === field.default ? undefined : found;
    },
    set: (value) => radios.forEach((r) => (r.checked = r.value === String(value ?? field.default ?? ""))),
  };
}

export function toggle(field, changed) {
  const input = h("input", { type: "checkbox", id: unique("field"), onchange: changed });
  input.checked = Boolean(field.default);
  const root = h("div", { class: "row" }, h("label", { class: "switch", for: input.id }, input, h("span", {}, fieldName(field.name))), h("p", { class: "hint" }, helpOf(field)));
  return {
    root,
    get value() {
      return input.checked === Boolean(field.default) ? undefined : input.checked;
    },
    set: (value) => (input.checked = Boolean(value ?? field.default)),
  };
}

export function slider(field, changed) {
  const whole = field.kind === "integer";
  const step = whole ? 1 : (field.high - field.low) / 100;
  const shown = h("output", {});
  const input = h("input", { type: "range", min: String(field.low), max: String(field.high), step: String(step), id: unique("field") });
  let exact; // the slider itself knows only its own steps
  const set = (value) => {
    exact = value ?? field.default;
    input.value = String(exact);
    shown.textContent = String(exact);
  };
  set();
  input.addEventListener("input", () => {
    exact = Number(Number(input.value).toFixed(4));
    shown.textContent = String(exact);
    changed();
  });
  return {
    root: labelled(field, input, shown),
    get value() {
      return exact === field.default ? undefined : exact;
    },
    set,
  };
}

export function number(field, changed) {
  const range = { min: field.low ?? undefined, max: field.high ?? undefined, step: field.kind === "integer" ? 1 : "any" };
  const plain = Object.fromEntries(Object.entries(range).filter(([, v]) => v !== undefined).map(([k, v]) => [k, String(v)]));
  const input = h("input", { type: "number", class: "plainfield", placeholder: field.default === null ? t("automatic") : String(field.default), oninput: changed, ...plain });
  return {
    root: labelled(field, input),
    get value() {
      return input.value === "" ? undefined : Number(input.value);
    },
    set: (value) => (input.value = value === undefined || value === null ? "" : String(value)),
  };
}

export function text(field, changed) {
  const many = ["words", "numbers", "settings"].includes(field.kind);
  const fallback = Array.isArray(field.default) ? field.default.join(", ") : field.default;
  const words = fallback || (many ? t(field.kind === "numbers" ? "numbers" : "words") : t("automatic"));
  const input = h("input", { type: "text", class: "plainfield", placeholder: words, oninput: changed, autocomplete: "off", spellcheck: "false", required: field.required });
  const names = field.suggestions ?? [];
  const known = names.length ? h("datalist", { id: unique("names") }, names.map((value) => h("option", { value }))) : null;
  if (known) input.setAttribute("list", known.id);
  const root = labelled(field, input);
  if (known) root.append(known);
  return {
    root,
    get value() {
      if (!input.value.trim()) return undefined;
      if (!many) return input.value.trim();
      const items = input.value.split(",").map((item) => item.trim()).filter(Boolean);
      return field.kind === "numbers" ? items.map(Number) : items;
    },
    set: (value) => (input.value = Array.isArray(value) ? value.join(", ") : (value ?? "")),
  };
}

// A factor on a logarithmic slider, with words at its ends.
export function factor(field, changed, { low, high, ends, base = () => 1, list = false }) {
  const shown = h("output", {}, "× 1");
  const input = h("input", { type: "range", min: "-100", max: "100", step: "1", id: unique("field") });
  input.value = "0";
  let given; // by settings that were put back; the slider itself knows only its own steps
  const times = () => {
    const part = Number(input.value) / 100;
    return part < 0 ? low ** -part : high ** part;
  };
  const show = (text) => (shown.textContent = text ?? `× ${Number(times().toPrecision(2))}`);
  input.addEventListener("input", () => {
    given = undefined;
    show();
    changed();
  });
  return {
    root: h("div", { class: "row" }, h("label", { class: "label", for: input.id }, fieldName(field.name), shown), input, h("div", { class: "ends" }, h("span", {}, ends[0]), h("span", {}, ends[1]))),
    get value() {
      if (given !== undefined) return given;
      if (input.value === "0" || base() === null) return undefined;
      const found = Number((times() * base()).toPrecision(3));
      return list ? [found] : found;
    },
    set: (value) => {
      given = value ?? undefined;
      const first = list ? value?.[0] : value;
      const ratio = (first ?? base() ?? 1) / (base() ?? first ?? 1);
      const part = ratio < 1 ? -Math.log(ratio) / Math.log(low) : Math.log(ratio) / Math.log(high);
      input.value = String(Math.max(-100, Math.min(100, Math.round((part || 0) * 100))));
      show(list && value?.length > 1 ? value.join(", ") : undefined);
    },
  };
}

// Common sizes at a touch, any other as a number.
export function sizes(field, changed, values) {
  const group = unique("size");
  const other = h("input", { type: "number", class: "plainfield", min: String(field.low), max: String(field.high), "aria-label": fieldName(field.name), placeholder: "px", oninput: () => pick() });
  const radios = ["", ...values].map((value) => {
    const input = h("input", { type: "radio", name: group, value: String(value), onchange: () => { other.value = ""; changed(); } });
    input.checked = value === "";
    return [input, h("label", {}, input, h("span", {}, value === "" ? t("automatic") : `${value}`))];
  });
  const pick = () => {
    radios.forEach(([input]) => (input.checked = input.value === other.value));
    changed();
  };
  return {
    root: h("fieldset", { class: "block" }, h("legend", {}, `${fieldName(field.name)} · px`), h("div", { class: "choices" }, radios.map(([, label]) => label)), other),
    get value() {
      const found = other.value || radios.find(([input]) => input.checked)?.[0].value;
      return found ? Number(found) : undefined;
    },
    set: (value) => {
      const known = radios.some(([input]) => input.value === String(value ?? ""));
      other.value = known ? "" : String(value);
      radios.forEach(([input]) => (input.checked = input.value === String(value ?? "")));
    },
  };
}

// One of many by its picture; `below` is filled when the choice changes.
export function gallery(field, changed, rows, below = () => null) {
  const group = unique("gallery");
  const about = h("div", { class: "block" });
  const first = field.default ?? rows[0]?.name;
  const cards = rows.map((row) => {
    const input = h("input", { type: "radio", name: group, value: row.name, onchange: () => { describe(); changed(); } });
    input.checked = row.name === first;
    const face = row.example ? h("img", { src: row.example, alt: "", loading: "lazy" }) : row.title[0];
    return [input, row, h("label", { class: "card" }, input, h("span", { class: "face" }, face), h("span", {}, row.title))];
  });
  const chosen = () => cards.find(([input]) => input.checked);
  const describe = () => {
    const row = chosen()?.[1];
    fill(about, row ? h("p", { class: "hint" }, row.summary) : null, row ? below(row) : null);
  };
  let other; // a value that no picture stands for, such as a chain of filters
  describe();
  return {
    root: h("fieldset", { class: "block" }, h("legend", {}, fieldName(field.name)), h("div", { class: "gallery" }, cards.map(([, , card]) => card)), about),
    get row() {
      return chosen()?.[1];
    },
    get value() {
      const found = chosen()?.[0].value ?? other;
      return found === field.default ? undefined : found;
    },
    set: (value) => {
      const wanted = value ?? first;
      other = wanted;
      cards.forEach(([input, , card]) => {
        input.checked = input.value === wanted;
        if (input.checked) card.scrollIntoView?.({ block: "nearest", inline: "center" });
      });
      describe();
    },
  };
}
