// The job on the easel: progress while it runs, and what can be done with it.

import * as api from "./api.js";
import { Curve } from "./curve.js";
import { fill, h, tool } from "./dom.js";
import { clock, or, t } from "./i18n.js";
import { complain, say } from "./say.js";

const FORMATS = ["png", "jpg", "webp", "avif", "tif"];

export class Work {
  constructor(root, viewer, { changed, again, compare, larger }) {
    this.root = root;
    this.viewer = viewer;
    this.hooks = { changed, again, compare, larger };
    this.job = null;
    this.heard = 0;
    this.hush = () => {};
  }

  clear() {
    this.hush();
    this.job = null;
    fill(this.root);
  }

  // Put a job on the easel and follow it. `first` is its quick forerunner, if there is one.
  async open(job, first = null) {
    this.hush();
    this.job = job;
    this.curve = new Curve();
    this.state = { share: job.share, left: null, words: t("starting"), preview: null };
    this.build();
    this.drawPicture();
    const rows = await api.get(`/api/jobs/${job.id}/losses`).catch(() => []);
    if (this.job?.id !== job.id) return;
    if (rows.length) this.curve.add(rows);
    this.draw();
    if (!api.isOpen(job)) return;
    const stop = api.listen(job.id, (kind, data, number) => this.job?.id === job.id && this.hear(kind, data, number));
    const stopFirst = first ? this.follow(first, job) : () => {};
    this.hush = () => {
      stop();
      stopFirst();
    };
  }

  // The quick one is shown until the slow one has something to show.
  follow(first, job) {
    return api.listen(first.id, (kind, data) => {
      if (kind !== "state" && kind !== "snapshot") return;
      if (data.result && this.job?.id === job.id && api.isOpen(this.job) && !this.state.preview) {
        const photo = this.photo();
        this.viewer.show({ left: photo, right: api.full(data.result), subject: job.id, note: t("instant") });
      }
      this.hooks.changed();
    });
  }

  hear(kind, data, number) {
    const state = this.state;
    if (kind === "state" || kind === "snapshot") {
      this.heard += 1;
      this.became(data);
    } else if (kind === "started") state.scales = data.scales;
    else if (kind === "scale") {
      state.scale = data;
      state.words = t("scale", { i: data.index + 1, n: data.count, w: data.width, h: data.height });
    } else if (kind === "steps") {
      this.curve.add(data.rows);
      Object.assign(state, { share: data.share, left: data.left, step: data.rows.at(-1).step });
    } else if (kind === "preview") {
      state.preview = `/api/jobs/${this.job.id}/preview?n=${number}`;
      this.drawPicture();
    }
    this.draw();
  }

  became(job) {
    const before = this.job.state;
    this.job = job;
    this.hooks.changed(job);
    if (before === job.state) return;
    this.build();
    if (job.result && !api.isOpen(job)) this.drawPicture();
    if (job.state === "done") say(t("finished"));
    if (job.state === "failed") say(t("failed", { message: job.error?.message ?? "" }), true);
  }

  photo() {
    const spec = this.job.spec;
    const id = spec.content ?? spec.image ?? spec.exemplar ?? spec.photo;
    return typeof id === "string" && id.length === 36 && this.job.verb !== "inspect" ? api.view(id) : null;
  }

  drawPicture() {
    const { job, state } = this;
    const left = this.photo();
    const model = job.product === "model";
    if (model && !api.isOpen(job)) this.viewer.show({ right: `/api/jobs/${job.id}/preview`, subject: job.id });
    else if (job.result && !api.isOpen(job)) this.viewer.show({ left, right: api.full(job.result), subject: job.id });
    else if (state.preview) this.viewer.show({ left, right: state.preview, subject: job.id });
    else if (job.result && !model) this.viewer.show({ left, right: api.full(job.result), subject: job.id });
    else if (left) this.viewer.show({ right: left, subject: job.id, note: api.isOpen(job) ? t("starting") : "" });
  }

  // The parts that stay while numbers change.
  build() {
    this.bar = h("div", {});
    this.barbox = h("div", { class: "bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": t("state.running") }, this.bar);
    this.where = h("p", { class: "where" });
    this.value = h("span", {});
    this.curvebox = h("div", {}, h("div", { class: "curve-name" }, h("span", {}, t("loss")), this.value), this.curve.svg);
    this.actions = h("div", { class: "actions", role: "group", "aria-label": t("details") });
    const parts = [h("div", {}, this.where, this.barbox), this.curvebox, this.actions];
    fill(this.root, h("div", { class: "work", data: { state: this.job.state } }, parts), findings(this.job));
    fill(this.actions, this.buttons());
    this.draw();
  }

  draw() {
    const { job, state } = this;
    const running = job.state === "running";
    this.barbox.hidden = !api.isOpen(job);
    const share = state.scale ? Math.round(state.share * 100) : null;
    this.barbox.classList.toggle("unknown", running && !share);
    this.barbox.setAttribute("aria-valuenow", String(share ?? 0));
    this.bar.style.width = `${share ?? 0}%`;
    fill(this.where, this.words().map((w, i) => (i ? h("span", {}, w) : h("strong", {}, w))));
    this.curvebox.hidden = this.curve.rows.size < 2;
    const last = this.curve.last;
    if (last) {
      this.value.textContent = last.loss.toPrecision(3);
      this.curve.svg.setAttribute("aria-label", t("loss.read", { value: last.loss.toPrecision(3), n: this.curve.rows.size }));
    }
  }

  words() {
    const { job, state } = this;
    const name = t(`state.${job.state}`);
    if (job.state === "queued") return [name, t("ahead", { n: job.ahead })];
    if (job.state === "failed") return [name, job.error?.message, job.error?.hint].filter(Boolean);
    if (job.state !== "running") return [name, t("took", { time: clock(job.seconds) }), ...job.notes];
    if (job.wanted) return [t("stopping")];
    const steps = state.scale && state.step ? [t("steps", { i: state.step, n: state.scale.steps })] : [];
    const left = state.left === null ? [] : [t("left", { time: clock(state.left) })];
    return [state.words, ...steps, ...left];
  }

  buttons() {
    const { job } = this;
    const shown = { shown: true };
    const act = (what) => () => this.act(what);
    if (job.state === "running" && job.wanted) return [];
    if (job.state === "running")
      return [tool("pause", t("pause"), act("pause"), shown), tool("stop", t("stop"), act("cancel"), { ...shown, class: "stop" })];
    if (job.state === "queued") return [tool("close", t("cancel"), act("cancel"), shown)];
    const known = "size" in (job.spec ?? {}) || ["stylize"].includes(job.verb);
    return [
      job.resumable ? tool("play", t("go"), act("continue"), { ...shown, class: "continue" }) : null,
      job.result ? menu(job) : null,
      job.result && known && job.verb === "stylize" ? tool("larger", t("larger"), () => this.hooks.larger(job), { class: "larger" }) : null,
      tool("again", t("again"), () => this.hooks.again(job), { class: "again" }),
      job.result && job.product === "picture" ? tool("split", t("compare"), () => this.hooks.compare(job), { class: "compare" }) : null,
    ];
  }

  async act(what) {
    const before = document.activeElement;
    const { heard } = this;
    try {
      const job = await api.post(`/api/jobs/${this.job.id}/${what}`);
      if (what === "continue") await this.open(job);
      else if (this.heard === heard) this.became(job); // otherwise the answer is older than what is shown
      this.build();
      this.hooks.changed(this.job);
      if (!before?.isConnected) this.actions.querySelector("button")?.focus();
    } catch (trouble) {
      complain(trouble);
    }
  }
}

// A result in any format.
function menu(job) {
  const link = (words, query) => h("a", { href: `${api.full(job.result)}?${query}download=true`, download: "" }, words);
  const picture = () => FORMATS.map((format) => link(format.toUpperCase(), `format=${format}&`));
  const list = h("div", { hidden: true }, job.product === "model" ? link(".safetensors", "") : picture());
  const button = tool("down", t("download"), () => {
    list.hidden = !list.hidden;
    button.setAttribute("aria-expanded", String(!list.hidden));
    if (!list.hidden) list.firstChild.focus();
  }, { shown: true, class: "download" });
  button.setAttribute("aria-expanded", "false");
  const root = h("div", { class: "menu" }, button, list);
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    list.hidden = true;
    button.focus();
  });
  root.addEventListener("focusout", (event) => {
    if (!root.contains(event.relatedTarget)) list.hidden = true;
  });
  return root;
}

// What a job found besides pictures.
function findings(job) {
  const tables = job.report?.tables ?? [];
  const others = job.others.map((o) => h("a", { href: api.full(o.id), target: "_blank", rel: "noopener" }, or(`field.${o.name}`, o.name)));
  if (!tables.length && !others.length) return null;
  return h("div", { class: "findings", tabindex: "0" }, h("p", { class: "where" }, others), tables.map(table));
}

function table({ title, columns, rows }) {
  return h("table", {}, h("caption", {}, title),
    h("thead", {}, h("tr", {}, columns.map((c) => h("th", { scope: "col" }, c)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell))))));
}

