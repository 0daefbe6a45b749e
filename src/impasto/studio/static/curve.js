// The losses as a line, on a logarithmic scale; scales of the picture are told apart by uprights.

const SPACE = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 52;

export class Curve {
  constructor() {
    this.rows = new Map();
    this.svg = document.createElementNS(SPACE, "svg");
    this.svg.setAttribute("class", "curve");
    this.svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("role", "img");
  }

  // The same step told twice is one step.
  add(rows) {
    for (const row of rows) this.rows.set(row.scale * 1e6 + row.step, row);
    this.draw();
  }

  get last() {
    return [...this.rows.values()].at(-1);
  }

  draw() {
    const rows = [...this.rows].sort((a, b) => a[0] - b[0]).map(([, row]) => row);
    const values = rows.map((row) => Math.log(Math.max(row.loss, 1e-12)));
    const low = Math.min(...values);
    const span = Math.max(...values) - low || 1;
    const x = (i) => (rows.length > 1 ? (i / (rows.length - 1)) * WIDTH : 0);
    const y = (v) => HEIGHT - 3 - ((v - low) / span) * (HEIGHT - 6);
    const path = document.createElementNS(SPACE, "path");
    path.setAttribute("d", values.map((v, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(v).toFixed(1)}`).join(""));
    const uprights = rows.flatMap((row, i) => (i && row.scale !== rows[i - 1].scale ? [upright(x(i))] : []));
    this.svg.replaceChildren(...uprights, path);
  }
}

function upright(x) {
  const line = document.createElementNS(SPACE, "line");
  for (const [key, value] of Object.entries({ x1: x, x2: x, y1: 0, y2: HEIGHT })) line.setAttribute(key, value);
  return line;
}
