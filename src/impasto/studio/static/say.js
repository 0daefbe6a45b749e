// One line for the person, also read out.

import { find } from "./dom.js";
import { t } from "./i18n.js";

let timer = 0;

export function say(text, bad = false) {
  const place = find("says");
  place.textContent = text;
  place.classList.toggle("bad", bad);
  place.classList.add("shown");
  clearTimeout(timer);
  timer = setTimeout(() => place.classList.remove("shown"), bad ? 9000 : 4000);
}

export function complain(trouble) {
  const text = trouble.message === "offline" ? t("offline") : trouble.message;
  say(trouble.hint ? `${text} (${trouble.hint})` : text, true);
}
