// Paints photos with an exported network, in the page: no server sees them.
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";

const LONGEST = 1024; // px; larger photos are reduced
const LEAST = 2; // px; the network takes nothing smaller

const $ = (id) => document.getElementById(id);
let session, shares, photo, seed = 0, busy = false, again = false;

ort.env.wasm.wasmPaths = new URL("node_modules/onnxruntime-web/dist/", document.baseURI).href;
ort.env.wasm.numThreads = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1;

function say(text) {
  $("status").textContent = text;
}

async function names(count) {
  const answer = await fetch("names.json");
  const known = answer.ok ? await answer.json() : [];
  return known.length === count ? known : Array.from({ length: count }, (_, i) => `Painting ${i + 1}`);
}

async function begin() {
  session = await ort.InferenceSession.create("model.onnx");
  const about = session.inputMetadata?.find((input) => input.name === "shares");
  const count = about?.shape?.[1] ?? 1;
  shares = new Float32Array(count);
  shares[0] = 1;
  for (const [i, name] of (await names(count)).entries()) {
    const label = document.createElement("label");
    const dial = document.createElement("input");
    Object.assign(dial, { type: "range", min: 0, max: 1, step: 0.05, value: shares[i] });
    dial.addEventListener("change", () => {
      shares[i] = Number(dial.value);
      paint();
    });
    label.append(name, dial);
    $("styles").append(label);
  }
  if (session.inputNames.includes("noise")) {
    $("another").hidden = false;
    $("another").addEventListener("click", () => {
      seed++;
      paint();
    });
  }
  say("Ready");
}

// Planes of red, green and blue in [0, 1].
async function read(file) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const side = (n) => Math.max(LEAST, Math.round(n * scale));
  const width = side(bitmap.width), height = side(bitmap.height);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0, width, height);
  const bytes = context.getImageData(0, 0, width, height).data;
  const size = width * height, planes = new Float32Array(3 * size);
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) planes[c * size + i] = bytes[4 * i + c] / 255;
  }
  return { width, height, planes };
}

// Even noise in [0, 1), for networks that have many pictures of a photo (xorshift, Marsaglia 2003).
function noise(count) {
  let state = seed + 1;
  return Float32Array.from({ length: count }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  });
}

function show(planes, width, height) {
  const size = width * height, bytes = new Uint8ClampedArray(4 * size);
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) bytes[4 * i + c] = Math.round(planes[c * size + i] * 255);
    bytes[4 * i + 3] = 255;
  }
  const canvas = $("picture");
  Object.assign(canvas, { width, height, hidden: false });
  canvas.getContext("2d").putImageData(new ImageData(bytes, width, height), 0, 0);
  canvas.toBlob((blob) => {
    URL.revokeObjectURL($("save").href);
    Object.assign($("save"), { href: URL.createObjectURL(blob), hidden: false });
  });
}

async function paint() {
  if (!photo || !session) return;
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  do {
    again = false;
    say("Painting");
    const started = performance.now();
    const total = shares.reduce((a, b) => a + b, 0);
    const parts = total > 0 ? shares.map((s) => s / total) : shares.map((_, i) => Number(i === 0));
    const tensor = (values, shape) => new ort.Tensor("float32", values, shape);
    const shape = [1, 3, photo.height, photo.width];
    const given = {
      image: tensor(photo.planes, shape),
      shares: tensor(Float32Array.from(parts), [1, parts.length]),
    };
    if (session.inputNames.includes("noise")) {
      given.noise = tensor(noise(photo.planes.length), shape);
    }
    try {
      const { painted } = await session.run(given);
      show(painted.data, photo.width, photo.height);
      const seconds = ((performance.now() - started) / 1000).toFixed(2);
      say(`${photo.width} x ${photo.height} in ${seconds} s`);
    } catch (error) {
      say(`The network failed: ${error.message}`);
    }
  } while (again);
  busy = false;
}

async function take(file) {
  try {
    photo = await read(file);
  } catch {
    say(`${file.name} is no picture that this browser can read`);
    return;
  }
  await paint();
}

$("file").addEventListener("change", (event) => event.target.files[0] && take(event.target.files[0]));
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
}
document.addEventListener("dragleave", () => $("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
});

begin().catch((error) => say(`The network could not be loaded: ${error.message}`));
