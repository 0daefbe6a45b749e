// Talking to the server.

const token = document.querySelector('meta[name="impasto-token"]').content;

export class Trouble extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.hint = error.hint ?? "";
  }
}

async function ask(method, path, body, headers = {}) {
  let answer;
  try {
    answer = await fetch(path, { method, body, headers: { "x-impasto-token": token, ...headers } });
  } catch {
    throw new Trouble(0, { message: "offline" });
  }
  if (answer.status === 204) return null;
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Trouble(answer.status, data.error ?? { message: answer.statusText });
  return data;
}

export const get = (path) => ask("GET", path);
export const post = (path) => ask("POST", path);
export const remove = (path) => ask("DELETE", path);

// The key makes a second try of the same request harmless.
export async function addJob(verb, spec) {
  const key = makeKey();
  const body = JSON.stringify({ verb, spec });
  const headers = { "content-type": "application/json", "idempotency-key": key };
  for (let tries = 0; ; tries += 1) {
    try {
      return await ask("POST", "/api/jobs", body, headers);
    } catch (trouble) {
      if (trouble.status !== 0 || tries === 3) throw trouble;
      await new Promise((done) => setTimeout(done, 400 * 2 ** tries));
    }
  }
}

export function upload(file, name) {
  const query = new URLSearchParams({ name: name ?? file.name ?? "picture" });
  return ask("POST", `/api/uploads?${query}`, file, { "content-type": "application/octet-stream" });
}

export const sample = (name) => ask("POST", `/api/samples/${name}`);
export const thumb = (id) => `/api/pictures/${id}?size=thumb`;
export const view = (id) => `/api/pictures/${id}?size=view`;
export const full = (id) => `/api/results/${id}`;

const KINDS = ["snapshot", "state", "started", "scale", "steps", "preview"];
const OPEN = new Set(["queued", "running"]);

export const isOpen = (job) => OPEN.has(job.state);

// Events of a job until it is over; the browser comes back by itself after a break.
export function listen(id, hear) {
  const source = new EventSource(`/api/jobs/${id}/events`);
  for (const kind of KINDS) {
    source.addEventListener(kind, (event) => {
      const data = JSON.parse(event.data);
      hear(kind, data, event.lastEventId);
      if ((kind === "state" || kind === "snapshot") && !isOpen(data)) source.close();
    });
  }
  source.addEventListener("error", () => hear("break", {}, ""));
  return () => source.close();
}

function makeKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
