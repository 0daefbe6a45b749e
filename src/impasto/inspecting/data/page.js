"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const list = byId("units"), viewer = byId("viewer"), controls = byId("controls");
  const units = [...list.children];
  let open = null; // the tile in the viewer

  controls.hidden = false;
  controls.addEventListener("submit", (event) => event.preventDefault());

  const falling = (key) => (a, b) => b.dataset[key] - a.dataset[key];
  const orders = {
    unit: (a, b) => a.dataset.unit - b.dataset.unit,
    maximum: falling("maximum"),
    own: falling("own"),
    firing: (a, b) => a.dataset.firing - b.dataset.firing,
  };
  byId("order").addEventListener("change", (event) => {
    list.append(...[...units].sort(orders[event.target.value]));
  });

  byId("find").addEventListener("input", (event) => {
    const text = event.target.value.trim();
    let shown = 0;
    for (const unit of units) {
      unit.hidden = text !== "" && unit.dataset.unit !== text;
      shown += !unit.hidden;
    }
    byId("count").textContent = text === "" ? "" : shown ? "1 unit" : "not on this page";
  });

  function signals(on) {
    document.body.classList.toggle("signals", on);
    byId("show-signals").setAttribute("aria-pressed", on);
    byId("show-photos").setAttribute("aria-pressed", !on);
  }
  byId("show-signals").addEventListener("click", () => signals(true));
  byId("show-photos").addEventListener("click", () => signals(false));
  if (!list.querySelector(".signal")) byId("show-signals").parentElement.hidden = true;

  function show(tile) {
    open = tile;
    const unit = tile.closest(".unit"), photo = data.photos[tile.dataset.photo];
    const [crop, signal] = tile.querySelectorAll("img");
    const rank = Number(tile.dataset.rank), best = unit.querySelectorAll(".best .tile").length;
    byId("viewer-title").textContent = `unit ${unit.dataset.unit}`;
    byId("viewer-photo").src = photo ? photo.src : crop.src;
    byId("viewer-photo").parentElement.style.setProperty("--ratio", photo ? photo.ratio : 1);
    byId("viewer-photo").alt = photo ? photo.name : crop.alt;
    byId("viewer-crop").src = crop.src;
    byId("viewer-crop").alt = crop.alt;
    byId("viewer-crop").className = crop.className;
    byId("viewer-signal-figure").hidden = !signal;
    if (signal) byId("viewer-signal").src = signal.src;
    byId("viewer-signal").alt = `What in the crop counts, by ${data.rule}`;
    byId("viewer-rule").textContent = `what in it counts, by ${data.rule}`;
    const [left, top, width, height] = tile.dataset.box.split(",").map((v) => `${100 * v}%`);
    Object.assign(byId("viewer-frame").style, { left, top, width, height });
    const which = rank ? `${rank} of ${best}` : "your picture";
    const name = photo ? photo.name : "";
    byId("viewer-text").textContent = `${which} · activation ${tile.dataset.value} · ${name}`;
    if (!viewer.open) viewer.showModal();
  }

  function walk(step) {
    const tiles = [...open.closest(".unit").querySelectorAll(".best .tile, .own .tile")];
    show(tiles[(tiles.indexOf(open) + step + tiles.length) % tiles.length]);
  }

  function climb(step) {
    const shown = [...list.children].filter((u) => !u.hidden && u.querySelector(".tile"));
    const at = shown.indexOf(open.closest(".unit"));
    const next = shown[(at + step + shown.length) % shown.length];
    show(next.querySelector(".tile"));
  }

  list.addEventListener("click", (event) => {
    const tile = event.target.closest(".tile");
    if (tile) show(tile);
  });
  viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
  viewer.addEventListener("close", () => { if (open) open.focus(); });
  byId("before").addEventListener("click", () => walk(-1));
  byId("after").addEventListener("click", () => walk(1));

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|SELECT)$/.test(event.target.tagName)) return;
    const moves = { ArrowLeft: [walk, -1], ArrowRight: [walk, 1], ArrowUp: [climb, -1], ArrowDown: [climb, 1] };
    if (viewer.open && moves[event.key]) {
      const [move, step] = moves[event.key];
      move(step);
      event.preventDefault();
    } else if (event.key === "s" || event.key === "S") {
      signals(!document.body.classList.contains("signals"));
    }
  });
})();
