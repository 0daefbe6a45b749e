// Making elements. Text only ever becomes text.

export function h(tag, about = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(about)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.className = value;
    else if (key === "data") Object.assign(element.dataset, value);
    else if (key in element && key !== "list" && typeof value !== "string") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

export const find = (id) => document.getElementById(id);

export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((c) => c !== null && c !== undefined));
  return element;
}

let last = 0;
export const unique = (word) => `${word}-${(last += 1)}`;

const PATHS = {
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  one: "M5 6h14v12H5z",
  close: "M6 6l12 12M18 6L6 18",
  brush: "M4 20c3 0 4-1 5-3l8-11 2 2L9 18c-1 2-2 2-5 2z",
  split: "M12 3v18M4 7h5v10H4zM15 7h5v10h-5z",
  slide: "M12 3v18M8 9l-3 3 3 3M16 9l3 3-3 3",
  pause: "M8 5v14M16 5v14",
  stop: "M6 6h12v12H6z",
  play: "M7 4l13 8-13 8z",
  down: "M12 4v12M7 11l5 5 5-5M5 20h14",
  again: "M4 12a8 8 0 1 0 3-6M4 4v5h5",
  larger: "M4 20V10M4 20h10M20 4l-9 9M14 4h6v6",
  bin: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
};

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", width: 18, height: 18 }))
    svg.setAttribute(key, value);
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

// A button with a picture and a name; the name is read out, and shown where there is room.
export function tool(name, label, onclick, about = {}) {
  const text = h("span", { class: about.shown ? "" : "unseen" }, label);
  const own = { type: "button", class: `tool ${about.class ?? ""}`, title: label, onclick };
  if (about.pressed !== undefined) own["aria-pressed"] = String(about.pressed);
  return h("button", own, icon(name), text);
}
