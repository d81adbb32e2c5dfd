// The gallery and the comparison: a grid in which only the pairs that are seen exist, a viewer, and decisions by keys.
"use strict";

const get = (id) => document.getElementById(id);
const made = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const fileOf = (address) => `/files/${address.split("/").map(encodeURIComponent).join("/")}`;
/** How many pixels a picture has at least that is made smaller for the grid. */
const SMALL = 256;
/** The address of an image for a place of `side` CSS pixels: the file itself if browsers show its format and it is not much too large, else a PNG that
 * is made of it. `size` is its height and width. */
const pictureOf = (address, size, side = Infinity) => {
  const wanted = Math.max(SMALL, 2 ** Math.ceil(Math.log2(side * devicePixelRatio))), small = Math.max(...size) > wanted;
  if (/\.(png|jpe?g|bmp)$/i.test(address) && !small) return fileOf(address);
  return `/api/picture?address=${encodeURIComponent(address)}${small ? `&side=${wanted}` : ""}`;
};
const number = (value, digits) => (value === null ? "–" : value.toFixed(digits).replace("-", "−"));

const view = { outline: true, area: 0, size: 136 };

async function read(path) {
  const response = await fetch(`/api/pairs?path=${encodeURIComponent(path)}`);
  if (!response.ok) throw new Error(await reason(response));
  return response.json();
}

/** The layers of a pair: image, area, outline. `size` is that of the folder's images, `side` how large they are shown. */
function stage(path, row, size, side) {
  const base = `/api/outline?path=${encodeURIComponent(path)}&id=${encodeURIComponent(row.id)}`;
  const box = made("div", { className: "stage" }, made("img", { src: pictureOf(row.image, size, side), alt: "", decoding: "async", draggable: false }));
  if (row.area > 0 && view.area > 0) {
    const area = made("img", { src: `${base}&area=true`, alt: "", decoding: "async", draggable: false });
    area.style.opacity = view.area / 100;
    box.append(area);
  }
  if (row.area > 0 && view.outline) box.append(made("img", { src: base, alt: "", decoding: "async", draggable: false }));
  return box;
}

/** A grid of `count` items; `cell(at)` makes an item, whose height is that of its picture and of a line of text. */
class Grid {
  constructor(element, ratio, cell) {
    Object.assign(this, { element, ratio, cell, count: 0, at: 0, cells: new Map(), columns: 1, room: made("div", { className: "all", role: "presentation" }) });
    element.append(this.room);
    element.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.layout()).observe(element);
  }

  show(count) {
    this.count = count;
    this.at = Math.max(0, Math.min(this.at, count - 1));
    this.layout();
  }

  layout() {
    const gap = 10, inner = this.element.clientWidth - gap;
    this.columns = Math.max(1, Math.floor(inner / (view.size + gap)));
    this.width = Math.floor(inner / this.columns) - gap;
    this.rowHeight = Math.round(this.width * this.ratio) + 20 + gap;
    this.room.style.height = `${Math.ceil(this.count / this.columns) * this.rowHeight + gap}px`;
    this.clear();
    this.draw();
  }

  clear() {
    for (const cell of this.cells.values()) cell.remove();
    this.cells.clear();
  }

  draw() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / this.rowHeight) - 2) * this.columns;
    const last = Math.min(this.count, Math.ceil((scrollTop + clientHeight) / this.rowHeight + 2) * this.columns);
    for (const [at, cell] of this.cells) {
      if (at < first || at >= last) {
        cell.remove();
        this.cells.delete(at);
      }
    }
    for (let at = first; at < last; at += 1) {
      if (this.cells.has(at)) continue;
      const cell = this.cell(at);
      cell.style.width = `${this.width}px`;
      cell.style.left = `${10 + (at % this.columns) * (this.width + 10)}px`;
      cell.style.top = `${10 + Math.floor(at / this.columns) * this.rowHeight}px`;
      for (const box of cell.querySelectorAll(".stage")) box.style.height = `${this.rowHeight - 30}px`;
      this.cells.set(at, cell);
      this.element.append(cell);
    }
    this.mark();
  }

  /** Makes one item anew. */
  again(at) {
    this.cells.get(at)?.remove();
    this.cells.delete(at);
    this.draw();
  }

  mark() {
    for (const [at, cell] of this.cells) {
      cell.classList.toggle("at", at === this.at);
      if (cell.role === "option") cell.ariaSelected = String(at === this.at);
    }
    const current = this.cells.get(this.at);
    if (current?.id) this.element.setAttribute("aria-activedescendant", current.id);
  }

  move(to) {
    this.at = Math.max(0, Math.min(this.count - 1, to));
    const top = Math.floor(this.at / this.columns) * this.rowHeight, { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    if (top + this.rowHeight > scrollTop + clientHeight) this.element.scrollTop = top + this.rowHeight - clientHeight + 10;
    this.draw();
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.rowHeight)) * this.columns;
    const ways = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
    if (!(event.key in ways)) return false;
    event.preventDefault();
    this.move(this.at + ways[event.key]);
    return true;
  }
}

/** What of the pairs is drawn, by the controls above the grid. */
function controls(grid) {
  const set = () => {
    view.outline = get("outline").checked;
    view.area = Number(get("opacity").value);
    view.size = Number(get("zoom").value);
    grid.layout();
  };
  for (const id of ["outline", "opacity", "zoom"]) get(id).addEventListener("input", set);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "o" || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    get("outline").checked = !get("outline").checked;
    set();
    dispatchEvent(new Event("pig-view"));
  });
  view.size = Number(get("zoom").value);
}

/** Sends decisions, together if they come fast, until the server has written them. */
class Decisions {
  constructor(path) {
    Object.assign(this, { path, open: new Map(), timer: null, sending: false });
    addEventListener("pagehide", () => this.send(true));
  }

  add(id, choice) {
    this.open.set(id, choice);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), 200);
  }

  async send(leaves = false) {
    if (!this.open.size || (this.sending && !leaves)) return;
    const sent = new Map(this.open);
    this.sending = true;
    try {
      const body = JSON.stringify({ path: this.path, choices: Object.fromEntries(sent) });
      const response = await fetch("/api/choices", { method: "POST", headers: { "content-type": "application/json" }, body, keepalive: leaves });
      if (!response.ok) throw new Error(await reason(response));
      for (const [id, choice] of sent) if (this.open.get(id) === choice) this.open.delete(id);
      notice((await response.json()).warning ?? "");
      document.body.dataset.saved = String(Number(document.body.dataset.saved ?? 0) + sent.size);
    } catch (error) {
      notice(`Not written yet: ${error.message} It is tried again.`);
    }
    this.sending = false;
    if (this.open.size) this.timer = setTimeout(() => this.send(), 2000);
  }
}

/** One pair, large, beside its nearest training image. */
class Viewer {
  constructor(gallery) {
    Object.assign(this, { gallery, dialog: get("viewer"), scale: 1, x: 0, y: 0, asked: 0 });
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    this.dialog.addEventListener("close", () => get("grid").focus());
    addEventListener("pig-view", () => this.dialog.open && this.show());
  }

  open() {
    [this.scale, this.x, this.y] = [1, 0, 0];
    if (!this.dialog.open) this.dialog.showModal();
    this.show();
  }

  key(event) {
    const { grid } = this.gallery;
    if (event.target.type === "range" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "+" || event.key === "-") this.zoom(event.key === "+" ? 1.25 : 0.8);
    else if (event.key === "ArrowRight" || event.key === "ArrowDown") grid.move(grid.at + 1);
    else if (event.key === "ArrowLeft" || event.key === "ArrowUp") grid.move(grid.at - 1);
    else if (!this.gallery.decide(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key.startsWith("Arrow")) [this.scale, this.x, this.y] = [1, 0, 0];
    this.show();
  }

  zoom(factor) {
    this.scale = Math.min(16, Math.max(1, this.scale * factor));
    if (this.scale === 1) [this.x, this.y] = [0, 0];
    this.place();
  }

  place() {
    const box = this.dialog.querySelector(".moved");
    if (box) box.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
  }

  show() {
    const { path, run, rows, grid, ratio, size } = this.gallery, row = rows[grid.at];
    if (!row) return this.dialog.close();
    const large = made("div", { className: "large" }), moved = made("div", { className: "moved" }), picture = stage(path, row, size);
    picture.style.cssText = `width:min(100%, calc(min(900px, 94vh) / ${ratio}));aspect-ratio:${1 / ratio}`;
    moved.append(picture);
    large.append(moved);
    let from = null;
    large.addEventListener("wheel", (event) => { event.preventDefault(); this.zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15); }, { passive: false });
    large.addEventListener("pointerdown", (event) => { from = [event.clientX - this.x, event.clientY - this.y]; large.setPointerCapture(event.pointerId); });
    large.addEventListener("pointermove", (event) => {
      if (!from || this.scale === 1) return;
      [this.x, this.y] = [event.clientX - from[0], event.clientY - from[1]];
      this.place();
    });
    large.addEventListener("pointerup", () => { from = null; });
    const facts = made("dl");
    const fact = (name, value) => facts.append(made("dt", { className: "quiet", textContent: name }), made("dd", { className: "number", textContent: value }));
    fact("lesion", `${number(row.area, 2)} %`);
    fact("agreement", number(row.contrast, 3));
    if (row.classes.length) fact("classes", row.classes.map((at) => this.gallery.classes[at]).join(", "));
    const button = (key, words, pressed) => {
      const element = made("button", { type: "button" }, `${words} `, made("kbd", { textContent: key }));
      if (pressed !== undefined) element.setAttribute("aria-pressed", String(pressed));
      element.addEventListener("click", () => { this.gallery.decide(key); this.show(); this.dialog.querySelector(".viewer").focus(); });
      return element;
    };
    const close = made("button", { type: "button", textContent: "Close" });
    close.addEventListener("click", () => this.dialog.close());
    const near = made("div", { className: "near" });
    const window_ = made("input", { type: "range", min: 50, max: 300, value: 100 });
    window_.addEventListener("input", () => { picture.firstChild.style.filter = `contrast(${window_.value}%)`; });
    const side = made("div", { className: "side" },
      made("h2", { textContent: `${row.id} (${grid.at + 1} of ${rows.length})` }), facts,
      made("div", { className: "actions" }, button("k", "Keep", row.choice === "keep"), button("r", "Reject", row.choice === "reject"), button("u", "Undecided", row.choice === null), close),
      made("label", { className: "choice" }, "Contrast ", window_), near,
      made("p", { className: "quiet", textContent: "Arrow keys go on; + and − or the wheel zoom, and dragging moves; o shows the outline." }));
    this.dialog.replaceChildren(made("div", { className: "viewer", tabIndex: -1 }, large, side));
    this.dialog.querySelector(".viewer").focus();
    this.place();
    if (run) this.near(near, row);
  }

  async near(place, row) {
    this.asked += 1;
    const asked = this.asked, { path, run, ratio } = this.gallery;
    place.replaceChildren(made("p", { className: "quiet", textContent: "Looking for the nearest training image…" }));
    const query = `path=${encodeURIComponent(path)}&id=${encodeURIComponent(row.id)}&run=${encodeURIComponent(run)}`;
    const response = await fetch(`/api/nearest?${query}`);
    const words = response.ok ? null : await reason(response), found = response.ok ? await response.json() : null;
    // Another pair may have been opened meanwhile.
    if (asked !== this.asked) return;
    if (words) return place.replaceChildren(made("p", { className: "quiet", textContent: words }));
    const picture = made("div", { className: "stage" });
    picture.style.aspectRatio = 1 / ratio;
    if (found.image) picture.append(made("img", { src: pictureOf(found.image, [1, 1]), alt: "The nearest training image", style: found.mirrored ? "transform:scaleX(-1)" : "" }));
    place.replaceChildren(made("h2", { textContent: "Nearest training image" }),
      found.image ? picture : made("p", { className: "quiet", textContent: "It is not below the served folder, so it is not shown." }),
      made("p", { className: "quiet", textContent: `Distance ${number(found.distance, 3)} (root mean square, of intensities from −1 to 1, at 32 × 32)${found.mirrored ? ", mirrored" : ""}; of ${found.of} images.` }));
  }
}

class Gallery {
  constructor(element, list) {
    Object.assign(this, { path: element.dataset.path, run: element.dataset.run, all: list.pairs, classes: list.classes, rows: [], size: list.size, ratio: list.size[0] / list.size[1] });
    this.decisions = new Decisions(this.path);
    this.grid = new Grid(get("grid"), this.ratio, (at) => this.cell(at));
    this.viewer = new Viewer(this);
    controls(this.grid);
    get("class-label").hidden = !list.classes.length;
    list.classes.forEach((name, at) => get("class").append(made("option", { value: at, textContent: name })));
    for (const id of ["decision", "class", "sort", "area-from", "area-to", "contrast-from", "contrast-to"]) get(id).addEventListener("input", () => this.choose());
    get("grid").addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (this.grid.key(event)) return;
      if (event.key === "Enter") this.viewer.open();
      else if (!this.decide(event.key)) return;
      event.preventDefault();
    });
    this.unread = list.unread;
    this.choose();
  }

  cell(at) {
    const row = this.rows[at], word = { keep: "kept", reject: "rejected" }[row.choice] ?? "undecided";
    const mark = made("span", { className: row.choice ?? "", textContent: { keep: "✓ kept", reject: "✕ rejected" }[row.choice] ?? "" });
    const cell = made("div", { className: `cell ${row.choice ?? ""}`, id: `pair-${at}`, role: "option", ariaSelected: "false",
      ariaLabel: `${row.id}, lesion ${number(row.area, 2)} %, agreement ${number(row.contrast, 3)}, ${word}` },
    stage(this.path, row, this.size, view.size), made("div", { className: "name" }, made("span", { textContent: row.id }), mark));
    cell.addEventListener("click", () => {
      this.grid.move(at);
      get("grid").focus();
    });
    cell.addEventListener("dblclick", () => this.viewer.open());
    return cell;
  }

  decide(key) {
    const choices = { k: "keep", r: "reject", u: null };
    if (!(key in choices) || !this.rows[this.grid.at]) return false;
    const row = this.rows[this.grid.at];
    row.choice = choices[key];
    this.decisions.add(row.id, row.choice);
    this.grid.again(this.grid.at);
    if (!this.viewer.dialog.open && key !== "u") this.grid.move(this.grid.at + 1);
    this.count();
    return true;
  }

  choose() {
    const value = (id) => get(id).value, bound = (id, other) => (value(id) === "" ? other : Number(value(id)));
    const within = (amount, from, to) => amount !== null && amount >= from && amount <= to;
    const limits = ["contrast-from", "contrast-to"].some((id) => value(id) !== "");
    this.rows = this.all.filter((row) => (value("decision") === "" || (row.choice ?? "open") === value("decision"))
      && (value("class") === "" || row.classes.includes(Number(value("class"))))
      && within(row.area, bound("area-from", 0), bound("area-to", 100))
      && (!limits || within(row.contrast, bound("contrast-from", -Infinity), bound("contrast-to", Infinity))));
    const by = value("sort");
    if (by !== "id") this.rows.sort((a, b) => (b[by] ?? -Infinity) - (a[by] ?? -Infinity));
    this.grid.show(this.rows.length);
    this.count();
  }

  count() {
    const of = (choice) => this.all.filter((row) => row.choice === choice).length;
    const shown = this.rows.length === this.all.length ? `${this.all.length} pairs` : `${this.rows.length} of ${this.all.length} pairs`;
    const unread = this.unread ? ` ${this.unread[0]} could not be read: ${this.unread[1]}` : "";
    get("count").textContent = `${shown}; ${of("keep")} kept, ${of("reject")} rejected.${unread}`;
  }
}

/** Two folders, joined by the names of their pairs. */
function compare(element, [first, second]) {
  const others = new Map(second.pairs.map((row) => [row.id, row]));
  const both = first.pairs.filter((row) => others.has(row.id)).map((row) => [row, others.get(row.id)]);
  const { a, b } = element.dataset;
  const grid = new Grid(get("grid"), first.size[0] / first.size[1] / 2, (at) => {
    const [left, right] = both[at];
    const words = `${number(left.contrast, 3)} | ${number(right.contrast, 3)}`;
    return made("div", { className: "cell", role: "listitem", ariaLabel: `seed ${left.seed ?? left.id}: agreement ${words}` },
      made("div", { className: "two" }, stage(a, left, first.size, view.size / 2), stage(b, right, second.size, view.size / 2)),
      made("div", { className: "name" }, made("span", { textContent: left.id }), made("span", { className: "number", textContent: words })));
  });
  controls(grid);
  view.size = 2 * Number(get("zoom").value);
  get("zoom").addEventListener("input", () => { view.size = 2 * Number(get("zoom").value); grid.layout(); });
  get("grid").addEventListener("keydown", (event) => grid.key(event));
  const alone = first.pairs.length + second.pairs.length - 2 * both.length;
  get("count").textContent = `${both.length} seeds are in both${alone ? `; ${alone} are in one of them alone` : ""}. Below each pair: the agreement of the first and of the second.`;
  grid.show(both.length);
}

addEventListener("DOMContentLoaded", async () => {
  const gallery = get("gallery"), comparison = get("compare");
  try {
    if (gallery) globalThis.gallery = new Gallery(gallery, await read(gallery.dataset.path));
    if (comparison) compare(comparison, await Promise.all([read(comparison.dataset.a), read(comparison.dataset.b)]));
  } catch (error) {
    get("count").textContent = error.message;
  }
});
