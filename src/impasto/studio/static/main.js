// The studio: benches, easel, rack, and what passes between them.

import * as api from "./api.js";
import { fill, find, h } from "./dom.js";
import { apply, or, swap, t } from "./i18n.js";
import { Page } from "./page.js";
import { Rack } from "./rack.js";
import { complain, say } from "./say.js";
import { bring, dropping, setKnown, takeSample } from "./tray.js";
import { Viewer } from "./viewer.js";
import { Work } from "./work.js";


class Studio {
  constructor(house) {
    this.house = house;
    this.pages = new Map();
    this.viewer = new Viewer(find("easel"));
    this.viewer.reset = () => this.rest();
    this.work = new Work(find("progress"), this.viewer, {
      changed: (job) => this.rack.update(job),
      again: (job) => this.again(job.verb, job.spec),
      compare: (job) => this.compareWith(job),
      larger: (job) => this.larger(job),
    });
    this.rack = new Rack(find("rack"), { chosen: (job) => this.choose(job), removed: (job) => this.removed(job) });
    this.comparing = null;
    setKnown(house);
  }

  start() {
    apply();
    find("language").addEventListener("click", () => {
      swap();
      this.redraw();
    });
    window.addEventListener("hashchange", () => this.turn());
    window.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length) this.accept(files);
    });
    dropping(document.body, (files) => this.accept(files));
    this.turn();
    this.rack.refresh();
  }

  get verb() {
    const asked = decodeURIComponent(location.hash.slice(1));
    return this.house.verbs.some((v) => v.verb === asked) ? asked : this.house.verbs[0].verb;
  }

  get page() {
    const { verb } = this;
    if (!this.pages.has(verb)) {
      const form = this.house.verbs.find((v) => v.verb === verb);
      this.pages.set(verb, new Page(form, this.house, {
        sent: (job, first) => this.sent(job, first),
        restored: (picture, plain) => this.offer(picture, plain),
        viewer: this.viewer,
        changed: () => this.rest(),
      }));
    }
    return this.pages.get(verb);
  }

  turn() {
    if (this.viewer.brush) this.viewer.giveUp();
    fill(find("tabs"), this.house.verbs.map((form) =>
      h("a", { href: `#${form.verb}`, "aria-current": form.verb === this.verb ? "page" : null }, or(`verb.${form.verb}`, title(form.verb)))));
    find("language").textContent = t("other");
    document.title = `impasto · ${or(`verb.${this.verb}`, title(this.verb))}`;
    this.page.show(find("bench"));
  }

  // After a change of the language everything is written again; what was set is kept.
  async redraw() {
    const specs = [...this.pages].map(([verb, page]) => [verb, page.spec]);
    this.pages.clear();
    const hash = this.verb;
    for (const [verb, spec] of specs) {
      history.replaceState(null, "", `#${verb}`);
      await this.page.restore(spec);
    }
    history.replaceState(null, "", `#${hash}`);
    this.turn();
    this.rack.seen = null;
    this.rack.draw();
    if (this.work.job) this.work.build();
    this.viewer.signature = "";
    this.rest();
  }

  // What the easel shows where no job is on it: the photo, or an invitation.
  rest() {
    if (this.viewer.brush) return;
    if (this.work.job) {
      if (!this.viewer.signature.startsWith(this.work.job.id)) this.work.drawPicture();
      return;
    }
    const { photo } = this.page;
    if (photo && photo.kind !== "model") this.viewer.show({ right: api.view(photo.id), subject: photo.id });
    else this.invite();
  }

  invite() {
    const main = this.verb === "stylize";
    const words = main ? t("empty.text") : or("empty.other", this.page.form.help);
    const fillable = [...this.page.trays.values()].some((tray) => tray.field.required && !tray.model);
    this.viewer.blank(
      h("h2", {}, main ? t("empty.title") : or(`verb.${this.verb}`, title(this.verb))),
      h("p", {}, words),
      fillable && h("button", { type: "button", class: "pill", id: "try", onclick: () => this.trySample() }, t("empty.sample")));
  }

  // One touch to something that can be painted.
  async trySample() {
    for (const [, tray] of this.page.trays) {
      if (!tray.field.required || tray.model || tray.pictures.length) continue;
      const row = this.house.samples.find((s) => s.kind === tray.kind);
      if (row) await takeSample(row.name, tray);
    }
  }

  // Files that were dropped anywhere or pasted: into the first slot that is free.
  accept(files) {
    const trays = [...this.page.trays.values()];
    for (const file of files) {
      const free = trays.find((tray) => !tray.pictures.length && tray.field.required && tray.pending !== true);
      const tray = free ?? trays.find((one) => one.pictures.length < one.most) ?? trays[0];
      if (!tray) return;
      tray.pending = true;
      bring([file], tray).finally(() => (tray.pending = false));
    }
  }

  // A picture with settings was brought: as a picture, or what it says.
  offer(picture, plain) {
    const dialog = h("dialog", { "aria-label": t("settingsin") });
    const close = (act) => () => {
      dialog.close();
      act();
    };
    const { verb, spec, missing } = picture.settings;
    const restore = () => {
      this.again(verb, spec);
      say(missing.length ? t("restored.missing", { names: missing.join(", ") }) : t("restored"));
    };
    fill(dialog, h("div", { class: "dialog-head" }, h("h2", {}, t("settingsin"))),
      h("div", { class: "dialog-body" },
        h("img", { src: api.thumb(picture.id), alt: picture.name, class: "offered" }),
        h("button", { type: "button", class: "go", id: "restore", onclick: close(restore) }, t("restore")),
        h("button", { type: "button", class: "pill", onclick: close(plain) }, t("asphoto"))));
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  sent(job, first) {
    this.comparing = null;
    this.rack.update(job);
    if (first) this.rack.update(first);
    this.rack.mark(job.id);
    this.rack.refresh();
    this.work.open(job, first);
    if (window.matchMedia("(max-width: 860px)").matches) find("easel").scrollIntoView({ block: "start" });
  }

  choose(job) {
    if (this.viewer.brush) this.viewer.giveUp();
    if (this.comparing && this.comparing.id !== job.id && job.result) return this.compare(this.comparing, job);
    this.comparing = null;
    this.rack.mark(job.id);
    return this.work.open(job);
  }

  compareWith(job) {
    this.comparing = job;
    say(t("compare.with"));
  }

  compare(one, two) {
    this.comparing = null;
    const name = (job) => `№ ${job.number}`;
    this.viewer.show({ left: api.full(one.result), right: api.full(two.result), labels: [name(one), name(two)], mode: "side", subject: `${this.work.job?.id} compared ${two.id}` });
  }

  async again(verb, spec) {
    if (verb !== this.verb) history.pushState(null, "", `#${verb}`);
    this.turn();
    await this.page.restore(spec);
    find("bench").focus();
  }

  // The same, twice as large, begun from what is there: its large shapes stay, the full size is painted.
  async larger(job) {
    try {
      const about = await api.get(`/api/pictures/${job.result}/about`);
      const size = Math.min(4096, Math.max(about.width, about.height) * 2);
      const spec = { ...job.spec, size, init: job.result, scales: 1 };
      this.sent(await api.addJob(job.verb, spec), null);
    } catch (trouble) {
      complain(trouble);
    }
  }

  removed(job) {
    if (this.work.job?.id !== job.id) return;
    this.work.clear();
    this.rest();
  }
}

const title = (verb) => verb[0].toUpperCase() + verb.slice(1);

api.get("/api/catalogue").then((house) => new Studio(house).start()).catch(complain);
