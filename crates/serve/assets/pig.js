// The script of all pages: parts that change, lists that choose at once, and the drawing of a mask. Every page works as a plain one without it, as far as
// nothing has to be drawn.
"use strict";

const one = (selector, within = document) => within.querySelector(selector);

function notice(text) {
  const element = one("#notice");
  element.textContent = text;
  element.hidden = !text;
}

/** The sentence of a refusal, which is a page. */
async function reason(response) {
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return one("#message", page)?.textContent ?? `The server answered ${response.status}.`;
}

const newest = new Map();
// While a button is pressed nothing is exchanged, or the click would be lost.
let released = Promise.resolve();
addEventListener("pointerdown", () => {
  released = new Promise((resolve) => {
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(resolve), { once: true });
  });
}, { capture: true });

/** Exchanges the content of an element once its pictures are there; what the user has opened, focused or scrolled stays so. */
async function exchange(id, html) {
  const target = document.getElementById(id);
  if (!target) return;
  newest.set(id, html);
  const fresh = document.createElement("div");
  fresh.innerHTML = html;
  // The first events tell what the page was sent with.
  if (fresh.innerHTML === target.innerHTML) return;
  await Promise.all([...fresh.querySelectorAll("img:not([loading])")].map((image) => image.decode().catch(() => {})));
  await released;
  if (newest.get(id) !== html) return;
  const isAtEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 24;
  const open = [...target.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent);
  const strips = [...target.querySelectorAll(".strip, .charts")].map((strip) => strip.scrollLeft);
  const focused = target.contains(document.activeElement) ? document.activeElement.textContent : null;
  target.replaceChildren(...fresh.childNodes);
  for (const summary of target.querySelectorAll("summary")) summary.parentElement.open = open.includes(summary.textContent);
  target.querySelectorAll(".strip, .charts").forEach((strip, at) => { strip.scrollLeft = strips[at] ?? 0; });
  if (focused !== null) [...target.querySelectorAll("a, button, summary")].find((element) => element.textContent === focused)?.focus();
  if (isAtEnd && target.classList.contains("log")) target.scrollTop = target.scrollHeight;
}

for (const element of document.querySelectorAll("[data-events]")) {
  const source = new EventSource(`/api/events?${element.dataset.events}`);
  source.onopen = () => notice("");
  source.onmessage = (event) => {
    const { id, html } = JSON.parse(event.data);
    exchange(id, html);
  };
  source.onerror = () => {
    const isOver = source.readyState === EventSource.CLOSED;
    notice(isOver ? "The server was started again: open the link that it printed. What it had started goes on."
      : "The server does not answer. What it has started goes on; this page tries again.");
  };
  addEventListener("pagehide", () => source.close());
}
for (const log of document.querySelectorAll("pre.log")) log.scrollTop = log.scrollHeight;

for (const list of document.querySelectorAll("select[data-submits]")) list.addEventListener("change", () => list.form.submit());

for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", () => setTimeout(() => form.querySelectorAll("button").forEach((button) => { button.disabled = true; })));
}
// A page that the browser kept is as it was before it was left.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

const COLOURS = [[255, 199, 44], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167]];

/** The canvas on which a mask is drawn: a label for each pixel, 0 for background. */
function drawing(area, form) {
  const [height, width] = [Number(area.dataset.height), Number(area.dataset.width)];
  const canvas = one("#canvas", area), pen = canvas.getContext("2d"), said = one("#drawn", area), file = one("#file", area);
  const severalClasses = one("#label", area).tagName === "SELECT";
  const colours = severalClasses ? [[230, 159, 0], ...COLOURS.slice(1)] : COLOURS;
  let labels = new Uint8Array(height * width), before = [], last = null, spot = [width / 2, height / 2], showsSpot = false, sent = null;

  const brush = () => Number(one("#brush", area).value);
  const label = () => (one("#erase", area).checked ? 0 : Number(one("#label", area).value));

  function show() {
    const pixels = pen.createImageData(width, height);
    let count = 0;
    labels.forEach((value, at) => {
      const colour = value ? colours[(value - 1) % colours.length] : [0, 0, 0];
      count += value > 0;
      pixels.data.set([...colour, 255], 4 * at);
    });
    pen.putImageData(pixels, 0, 0);
    if (showsSpot) {
      pen.strokeStyle = "#7ab8ff";
      pen.lineWidth = Math.max(1, width / 200);
      pen.beginPath();
      pen.arc(spot[0], spot[1], Math.max(brush() / 2, 1), 0, 7);
      pen.stroke();
    }
    said.textContent = count ? `${count} pixels of lesion are drawn (${(100 * count / labels.length).toFixed(1)} % of the picture).`
      : "Nothing is drawn yet. Draw with mouse, pen or finger; or move with the arrow keys and draw with space.";
  }

  function disc([x, y], size, value) {
    const radius = size / 2;
    for (let row = Math.max(0, Math.floor(y - radius)); row <= Math.min(height - 1, y + radius); row += 1) {
      for (let column = Math.max(0, Math.floor(x - radius)); column <= Math.min(width - 1, x + radius); column += 1) {
        if ((column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2 <= Math.max(radius, 0.6) ** 2) labels[row * width + column] = value;
      }
    }
  }

  function keep() {
    before = [...before.slice(-19), labels.slice()];
    sent = null;
    one("#sent", area).hidden = true;
    file.value = "";
  }

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * width / box.width, (event.clientY - box.top) * height / box.height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    keep();
    last = place(event);
    showsSpot = false;
    disc(last, brush(), label());
    show();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    const now = place(event), steps = Math.ceil(Math.hypot(now[0] - last[0], now[1] - last[1])) || 1;
    for (let step = 1; step <= steps; step += 1) {
      disc([last[0] + (now[0] - last[0]) * step / steps, last[1] + (now[1] - last[1]) * step / steps], brush(), label());
    }
    last = now;
    show();
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    const way = ways[event.key];
    if (!way && event.key !== " ") return;
    event.preventDefault();
    showsSpot = true;
    if (way) {
      const step = Math.max(1, brush() / 4);
      spot = [Math.min(width, Math.max(0, spot[0] + way[0] * step)), Math.min(height, Math.max(0, spot[1] + way[1] * step))];
    } else {
      keep();
      disc(spot, brush(), label());
    }
    show();
  });
  one("#undo", area).addEventListener("click", () => { labels = before.pop() ?? labels; show(); });
  one("#clear", area).addEventListener("click", () => { keep(); labels.fill(0); show(); });
  one("#disc", area).addEventListener("click", () => { keep(); disc([width / 2, height / 2], 2 * brush(), label()); show(); });

  async function put(query, body) {
    const response = await fetch(`/api/mask?run=${area.dataset.run}&${query}`, { method: "PUT", body });
    if (!response.ok) throw new Error(await reason(response));
    return response.json();
  }
  file.addEventListener("change", async () => {
    const chosen = file.files[0];
    if (!chosen) return;
    try {
      const kept = await put(`name=${encodeURIComponent(chosen.name)}`, chosen);
      sent = kept.id;
      one("#sent", area).src = `/api/mask?run=${area.dataset.run}&id=${kept.id}`;
      one("#sent", area).hidden = false;
      said.textContent = `${chosen.name}: ${kept.lesion_pixels} pixels of lesion in ${kept.size[0]} × ${kept.size[1]}.`;
      notice("");
    } catch (error) {
      sent = null;
      file.value = "";
      notice(error.message);
    }
  });
  for (const choice of form.querySelectorAll("input[name=source]")) {
    choice.addEventListener("change", () => { area.hidden = one("input[name=source]:checked", form).value !== "mask"; });
  }
  form.addEventListener("submit", async (event) => {
    if (one("input[name=source]:checked", form).value !== "mask" || one("input[name=mask]", form).value) return;
    event.preventDefault();
    try {
      one("input[name=mask]", form).value = sent ?? (await put(`height=${height}&width=${width}`, labels)).id;
      form.submit();
    } catch (error) {
      notice(error.message);
      form.querySelectorAll("button").forEach((button) => { button.disabled = false; });
    }
  });
  show();
}

if (one("#drawing")) drawing(one("#drawing"), one("#sample"));
