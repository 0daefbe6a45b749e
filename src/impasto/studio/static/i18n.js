// Two languages. What is on the page already is written again when the language changes.

import en from "./lang/en.js";
import zh from "./lang/zh.js";

const TABLES = { en, zh };
const KEY = "impasto-language";

let language = remembered() ?? (navigator.language?.startsWith("zh") ? "zh" : "en");

export const current = () => language;

export function t(key, values = {}) {
  const text = TABLES[language][key] ?? en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export const has = (key) => key in TABLES[language];

// A label for a field, a choice or a help text: ours where there is one, else what is given.
export const or = (key, text) => TABLES[language][key] ?? (language === "en" ? text : en[key] ?? text);

export function fieldName(name) {
  const plain = name.replaceAll("_", " ");
  return or(`field.${name}`, plain[0].toUpperCase() + plain.slice(1));
}

export function swap() {
  language = language === "en" ? "zh" : "en";
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // Private windows forget it; that is all.
  }
  apply();
}

export function apply() {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const element of document.querySelectorAll("[data-t]"))
    element.textContent = t(element.dataset.t);
}

export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const minutes = Math.floor(whole / 60);
  const rest = String(whole % 60).padStart(2, "0");
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

function remembered() {
  try {
    const found = localStorage.getItem(KEY);
    return found in TABLES ? found : null;
  } catch {
    return null;
  }
}
