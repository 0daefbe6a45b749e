// The history: what was made, and what waits.

import * as api from "./api.js";
import { fill, h, icon } from "./dom.js";
import { or, t } from "./i18n.js";
import { complain } from "./say.js";

export class Rack {
  constructor(root, { chosen, removed }) {
    this.root = root;
    this.chosen = chosen;
    this.removed = removed;
    this.jobs = [];
    this.current = null;
    this.list = h("ul", { class: "strip" });
    this.title = h("h2", {});
    fill(root, h("div", { class: "rack-head" }, this.title), this.list);
  }

  async refresh() {
    try {
      this.jobs = (await api.get("/api/jobs?most=120")).jobs;
    } catch (trouble) {
      complain(trouble);
    }
    this.draw();
    clearTimeout(this.timer);
    if (this.jobs.some(api.isOpen)) this.timer = setTimeout(() => this.refresh(), 4000);
  }

  // One job has changed.
  update(job) {
    if (!job) return this.refresh();
    const place = this.jobs.findIndex((one) => one.id === job.id);
    if (place >= 0) this.jobs[place] = job;
    else this.jobs.unshift(job);
    this.draw();
    return null;
  }

  mark(id) {
    this.current = id;
    this.draw();
  }

  // Built again only where something has changed, so that the focus stays where it is.
  draw() {
    this.title.textContent = t("history");
    const seen = JSON.stringify([this.current, t("history"), this.jobs.map((j) => [j.id, j.state, j.result])]);
    if (seen === this.seen) return;
    this.seen = seen;
    const held = document.activeElement?.closest?.(".piece")?.dataset.job;
    fill(this.list, this.jobs.length ? this.jobs.map((job) => this.piece(job)) : h("p", { class: "hint" }, t("history.none")));
    if (held) this.list.querySelector(`[data-job="${held}"] button`)?.focus();
  }

  piece(job) {
    const what = or(`verb.${job.verb}`, job.verb);
    const how = job.spec.recipe ?? job.spec.name ?? "";
    const state = job.state === "done" ? "" : t(`state.${job.state}`);
    const label = [what, how, `№ ${job.number}`, t(`state.${job.state}`)].filter(Boolean).join(", ");
    const face = job.result && job.product === "picture" ? h("img", { src: api.thumb(job.result), alt: "", loading: "lazy" }) : h("span", {}, what);
    const open = h("button", { type: "button", "aria-label": label, title: label, onclick: () => this.chosen(job) }, face);
    if (job.id === this.current) open.setAttribute("aria-current", "true");
    const off = h("button", { type: "button", class: "off", "aria-label": `${t("remove", { name: label })}`, onclick: () => this.drop(job) }, icon("bin"));
    return h("li", { class: "piece", data: { job: job.id } }, open, state ? h("span", { class: "state" }, state) : null, api.isOpen(job) ? null : off);
  }

  async drop(job) {
    if (!window.confirm(t("confirm"))) return;
    try {
      await api.remove(`/api/jobs/${job.id}`);
      this.jobs = this.jobs.filter((one) => one.id !== job.id);
      this.removed(job);
    } catch (trouble) {
      complain(trouble);
    }
    this.draw();
  }
}
