"use strict";
const MOST_BARS = 12, MOST_ROWS = 50, PEN = 0.085;
const input = document.getElementById("input"), output = document.getElementById("output");
let model = null, asked = 0, waiting = 0;

function made(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/* Asking: only the answer to what was asked last is shown. */

async function ask(body, type) {
  const number = ++asked;
  let shown;
  try {
    const headers = type ? { "Content-Type": type } : {};
    const answer = await fetch("/predict", { method: "POST", headers, body });
    const found = await answer.json();
    shown = answer.ok ? answers(found.predictions) : [failure(found.error, found.hint)];
  } catch (error) {
    shown = [failure("The server does not answer.", String(error))];
  }
  if (number === asked) output.replaceChildren(...shown);
}

function askSoon(make) {
  clearTimeout(waiting);
  waiting = setTimeout(make, 120);
}

function askFiles(files) {
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  return ask(form, null);
}

function forget() {
  asked += 1;
  output.replaceChildren(made("p", { className: "muted", textContent: "Nothing was asked yet." }));
}

function failure(message, hint) {
  const lines = [message, hint].filter(Boolean).map((text) => made("p", { textContent: text }));
  return made("div", { className: "error" }, ...lines);
}

/* Answers: bars of probabilities, a number, or a picture; a table where there are several examples. */

function answers(rows) {
  if (rows.length === 1) return model.gives.flatMap((one) => answer(rows[0], one));
  const columns = Object.keys(rows[0]).filter((name) => !name.endsWith("probabilities"));
  const head = made("tr", {}, ...columns.map((name) => made("th", { textContent: name })));
  const lines = rows.slice(0, MOST_ROWS).map((row) => made("tr", {}, ...columns.map((name) => cell(row[name]))));
  const more = rows.length > MOST_ROWS ? [made("p", { className: "note", textContent: `${rows.length - MOST_ROWS} more` })] : [];
  return [made("div", { className: "scroll" }, made("table", {}, head, ...lines)), ...more];
}

function cell(value) {
  return made("td", { textContent: Array.isArray(value) ? "…" : typeof value === "number" ? figure(value) : String(value) });
}

function answer(row, gives) {
  const title = gives.name ? [made("h3", { textContent: gives.name })] : [];
  const value = row[gives.name || (gives.kind === "classes" ? "class" : "prediction")];
  if (gives.kind === "number") return [...title, made("p", { className: "answer", textContent: figure(value) })];
  if (gives.kind === "copy") return [...title, picture(value)];
  const all = Object.entries(row[gives.name ? `${gives.name}_probabilities` : "probabilities"]);
  const best = all.reduce((first, one) => (one[1] > first[1] ? one : first));
  const few = all.length > MOST_BARS ? [...all].sort((a, b) => b[1] - a[1]).slice(0, MOST_BARS) : all;
  const bars = few.flatMap(([name, share]) => bar(name, share, name === best[0]));
  const first = made("p", { className: "answer", textContent: value });
  first.append(made("small", { textContent: percent(best[1]) }));
  const more = all.length > few.length ? [made("p", { className: "note", textContent: `the likeliest of ${all.length} classes` })] : [];
  return [...title, first, made("div", { className: "bars" }, ...bars), ...more];
}

function bar(name, share, isFirst) {
  const filled = made("i");
  filled.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return [
    made("span", { className: "name", textContent: name }),
    made("span", { className: isFirst ? "track first" : "track" }, filled),
    made("span", { className: "share", textContent: percent(share) }),
  ];
}

function percent(share) {
  return share === null ? "no number" : share > 0 && share < 0.001 ? "<0.1 %" : `${(share * 100).toFixed(1)} %`;
}

function figure(value) {
  return typeof value === "number" ? String(Number(value.toPrecision(5))) : value === null ? "no number" : String(value);
}

function picture(values) {
  const height = values.length, width = Array.isArray(values[0]) ? values[0].length : 0;
  const depth = width && Array.isArray(values[0][0]) ? values[0][0].length : 1;
  if (!width || ![1, 3].includes(depth) || Array.isArray(values[0][0]?.[0])) {
    return made("pre", { textContent: JSON.stringify(values).slice(0, 2000) });
  }
  const canvas = made("canvas", { width, height, className: "copy" });
  const pixels = new ImageData(width, height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const found = [values[y][x]].flat();
    for (let color = 0; color < 3; color++) pixels.data[4 * (y * width + x) + color] = 255 * found[color % depth];
    pixels.data[4 * (y * width + x) + 3] = 255;
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

/* Drawing: as MNIST was made, what is drawn is fitted into a box, its centre of mass in the middle, white on black. */

function drawing(takes) {
  const pad = made("canvas", { id: "pad", width: 280, height: 280 });
  pad.setAttribute("aria-label", "draw here");
  const seen = made("canvas", { id: "seen", width: takes.width, height: takes.height });
  seen.setAttribute("aria-label", "what the model gets");
  const centred = made("input", { type: "checkbox", checked: true });
  const inverted = made("input", { type: "checkbox", checked: true });
  const clear = made("button", { type: "button", textContent: "Clear" });
  const context = pad.getContext("2d", { willReadFrequently: true });
  let last = null;

  const wipe = () => {
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, pad.width, pad.height);
    seen.getContext("2d").clearRect(0, 0, seen.width, seen.height);
    forget();
  };
  const place = (event) => {
    const box = pad.getBoundingClientRect();
    return [(event.clientX - box.left) * pad.width / box.width, (event.clientY - box.top) * pad.height / box.height];
  };
  const draw = (to) => {
    Object.assign(context, { lineWidth: PEN * pad.width, lineCap: "round", lineJoin: "round", strokeStyle: "#000000" });
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(...to);
    context.stroke();
    last = to;
  };
  const show = () => {
    if (!fit(context.getImageData(0, 0, pad.width, pad.height), seen, centred.checked, inverted.checked)) return;
    seen.toBlob((blob) => ask(blob, "image/png"), "image/png");
  };
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    last = place(event);
    draw(last);
    event.preventDefault();
  });
  pad.addEventListener("pointermove", (event) => {
    if (last === null) return;
    for (const one of event.getCoalescedEvents?.() ?? []) draw(place(one));
    draw(place(event));
    askSoon(show);
  });
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => {
    last = null;
    askSoon(show);
  });
  for (const box of [centred, inverted]) box.addEventListener("change", show);
  clear.addEventListener("click", wipe);
  wipe();
  const options = [
    made("label", {}, centred, "centred and scaled, as MNIST has it"),
    made("label", {}, inverted, "white on black"),
  ];
  const beside = made("div", { className: "seen" }, clear, made("span", { className: "note", textContent: "what the model gets:" }), seen, ...options);
  input.append(made("div", { className: "drawing" }, pad, beside));
}

function fit(source, target, isCentred, isInverted) {
  const ink = (x, y) => 255 - source.data[4 * (y * source.width + x)];
  let [left, top, right, bottom] = [source.width, source.height, -1, -1];
  for (let y = 0; y < source.height; y++) for (let x = 0; x < source.width; x++) if (ink(x, y) > 0) {
    left = Math.min(left, x); right = Math.max(right, x); top = Math.min(top, y); bottom = Math.max(bottom, y);
  }
  if (right < 0) return false;
  const { width, height } = target;
  let scale = width / source.width, shiftX = 0, shiftY = 0;
  if (isCentred) {
    const share = Math.min(width, height) >= 16 ? 20 / 28 : 1;
    scale = Math.min(width * share / (right - left + 1), height * share / (bottom - top + 1));
    let [mass, sumX, sumY] = [0, 0, 0];
    for (let y = top; y <= bottom; y++) for (let x = left; x <= right; x++) {
      mass += ink(x, y); sumX += ink(x, y) * (x + 0.5); sumY += ink(x, y) * (y + 0.5);
    }
    const middle = share < 1 ? [sumX / mass, sumY / mass] : [(left + right + 1) / 2, (top + bottom + 1) / 2];
    [shiftX, shiftY] = [middle[0] - width / 2 / scale, middle[1] - height / 2 / scale];
  }
  const pixels = new ImageData(width, height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const level = mean(ink, source, x / scale + shiftX, y / scale + shiftY, 1 / scale);
    const value = isInverted ? level : 255 - level;
    pixels.data.set([value, value, value, 255], 4 * (y * width + x));
  }
  target.getContext("2d").putImageData(pixels, 0, 0);
  return true;
}

function mean(ink, source, left, top, size) {
  let [sum, count] = [0, 0];
  for (let y = Math.floor(top); y < top + size; y++) for (let x = Math.floor(left); x < left + size; x++) {
    const part = (Math.min(x + 1, left + size) - Math.max(x, left)) * (Math.min(y + 1, top + size) - Math.max(y, top));
    count += part;
    if (x >= 0 && y >= 0 && x < source.width && y < source.height) sum += part * ink(x, y);
  }
  return sum / count;
}

/* Pictures, tables, texts, and whatever else as JSON. */

function dropping() {
  const zone = made("div", { className: "drop", tabIndex: 0, textContent: "Drop an image here, or click to choose one." });
  zone.setAttribute("role", "button");
  const choose = () => document.getElementById("file").click();
  zone.addEventListener("click", choose);
  zone.addEventListener("keydown", (event) => ["Enter", " "].includes(event.key) && choose());
  input.append(zone);
  return zone;
}

function preview(zone, file) {
  const image = made("img", { alt: file.name, src: URL.createObjectURL(file) });
  image.addEventListener("load", () => URL.revokeObjectURL(image.src));
  image.addEventListener("error", () => zone.replaceChildren(file.name));
  zone.replaceChildren(image);
}

function field(column) {
  if (column.kind === "text") return made("textarea", { value: "" });
  if (column.kind !== "category" || column.more) {
    const kind = column.kind === "number" ? "number" : "text";
    const step = kind === "number" ? { step: "any" } : {};
    return made("input", { type: kind, value: column.example ?? (kind === "number" ? 0 : ""), placeholder: "missing", ...step });
  }
  const values = column.values.map((value) => made("option", { value, textContent: value }));
  return made("select", {}, ...values, made("option", { value: "", textContent: "(missing)" }));
}

function value(column, element) {
  if (element.value === "") return null;
  return column.kind === "number" ? Number(element.value) : element.value;
}

function columnsOf(takes) {
  if (takes.kind === "table") return takes.columns;
  if (takes.kind !== "numbers") return null;
  const [first, ...more] = takes.inputs;
  if (!more.length) return first.columns ?? null;
  const areNumbers = takes.inputs.every((one) => !one.shape.length);
  return areNumbers ? takes.inputs.map((one) => ({ name: one.name, kind: "number", example: 0 })) : null;
}

function form(columns) {
  const fields = columns.map((column) => [column, field(column)]);
  const labels = fields.map(([column, element]) =>
    made("label", { className: column.kind === "text" ? "wide" : "" }, column.name, element));
  const send = () => {
    const row = Object.fromEntries(fields.map(([column, element]) => [column.name, value(column, element)]));
    return ask(JSON.stringify({ rows: [row] }), "application/json");
  };
  const whole = made("form", {}, made("div", { className: "fields" }, ...labels));
  whole.addEventListener("input", () => askSoon(send));
  whole.addEventListener("submit", (event) => event.preventDefault());
  input.append(whole);
  if (!columns.some((column) => column.kind === "text")) send();
}

function writing() {
  const text = made("textarea", { placeholder: "Write a text." });
  text.setAttribute("aria-label", "text");
  text.addEventListener("input", () => askSoon(() => text.value ? ask(JSON.stringify({ rows: [text.value] }), "application/json") : forget()));
  input.append(text);
}

function json(example) {
  const shown = example === null ? "" : JSON.stringify(example).replace(/\},\{/g, "},\n{");
  const text = made("textarea", { className: "json", value: shown, spellcheck: false });
  text.setAttribute("aria-label", "rows as JSON");
  const send = made("button", { type: "button", textContent: "Predict" });
  send.addEventListener("click", () => ask(text.value, "application/json"));
  input.append(text, made("p", {}, send));
}

/* The page. */

function say() {
  const takes = model.takes;
  const sizes = takes.kind === "image" ? ` of ${takes.height}×${takes.width} pixels, ${takes.colors === 1 ? "grey" : "in colour"}` : "";
  const figures = model.metrics.test ?? model.metrics.validation;
  const names = Object.keys(figures ?? {}).filter((name) => name !== "loss");
  const scores = names.map((name) => `${model.metrics.test ? "test" : "validation"} ${name.replaceAll("_", " ")} ${figure(figures[name])}`);
  const what = { image: "an image", table: "rows of a table", numbers: "arrays of numbers", series: `${takes.length} rows of a series` }[takes.kind] ?? `a ${takes.kind}`;
  const known = model.classes && Array.isArray(model.classes) ? `tells ${model.classes.length} classes apart` : "";
  document.getElementById("what").textContent = [`Takes ${what}${sizes}`, known, ...scores].filter(Boolean).join("; ") + ".";
  const here = `${location.origin}/predict`;
  document.getElementById("command").textContent = takes.kind === "image"
    ? `curl -F file=@picture.png ${here}`
    : `curl ${here} -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(takes.example ?? { rows: [] }).slice(0, 400).replaceAll("'", "'\\''")}'`;
}

function listen(zone) {
  const chooser = document.getElementById("file"), files = model.takes.files;
  document.getElementById("file-line").hidden = !files.length;
  document.getElementById("file-kinds").textContent = files.join(" ");
  chooser.accept = files.join(",");
  const take = (chosen) => {
    if (!chosen.length) return;
    if (zone) preview(zone, chosen[0]);
    askFiles(chosen);
  };
  chooser.addEventListener("change", () => take([...chooser.files]));
  const target = zone ?? input;
  for (const kind of ["dragover", "dragleave", "drop"]) target.addEventListener(kind, (event) => {
    event.preventDefault();
    target.classList.toggle("over", kind === "dragover");
    if (kind === "drop") take([...event.dataTransfer.files]);
  });
}

async function begin() {
  try {
    model = await (await fetch("/metadata")).json();
  } catch (error) {
    output.replaceChildren(failure("The server does not answer.", String(error)));
    return;
  }
  const takes = model.takes;
  const isDrawn = takes.kind === "image" && takes.colors === 1 && Math.max(takes.height, takes.width) <= 64;
  let zone = null;
  if (isDrawn) drawing(takes);
  else if (takes.kind === "image" || takes.kind === "film") zone = dropping();
  else if (columnsOf(takes)) form(columnsOf(takes));
  else if (takes.kind === "text") writing();
  else json(takes.example);
  listen(zone);
  say();
}

begin();
