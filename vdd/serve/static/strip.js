// The strip: a tile a frame, which can be selected, cut, copied and so on, by mouse and by keys.

import { edits, History, insert } from "./edit.js";
import { colour } from "./picture.js";

const TOOLS = [
  ["cut", "Cut", "Ctrl+X"], ["copy", "Copy", "Ctrl+C"], ["paste", "Paste", "Ctrl+V"], null,
  ["repeat", "Repeat", "R"], ["reverse", "Reverse", "V"], ["stretch", "Stretch", "S: each frame twice"],
  ["squeeze", "Squeeze", "Q: every other frame"], ["remove", "Delete", "Del"], null,
  ["undo", "Undo", "Ctrl+Z"], ["redo", "Redo", "Ctrl+Shift+Z"],
];

const FINGERS = matchMedia("(pointer: coarse)");

export class Strip {
  constructor({ box, tools, told, changed, looked, peek, complain }) {
    Object.assign(this, { box, told, changed, looked, peek, complain });
    this.history = new History();
    this.clipboard = [];
    this.anchor = 0;
    this.cursor = 0;
    this.selecting = false; // whether anything is selected, or all is meant
    this.most = 600;
    this.buttons = {};
    for (const tool of TOOLS) {
      if (!tool) { tools.append(Object.assign(document.createElement("span"), { className: "gap" })); continue; }
      const [name, text, keys] = tool;
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: text, title: `${text} (${keys})` });
      button.dataset.tool = name;
      button.addEventListener("click", () => this.do(name));
      this.buttons[name] = button;
      tools.append(button);
    }
    box.addEventListener("keydown", (event) => this.#key(event));
    // A finger that is put down may be about to scroll.
    box.addEventListener("pointerdown", (event) => { if (event.pointerType !== "touch") this.#press(event); });
    box.addEventListener("click", (event) => { if (event.pointerType === "touch") this.#press(event); });
    box.addEventListener("pointerover", (event) => this.#over(event));
    box.addEventListener("pointerleave", () => this.peek(null));
    addEventListener("pointerup", () => { this.dragging = false; });
  }

  get tiles() { return this.history.now; }
  get range() {
    if (!this.selecting) return [0, this.tiles.length];
    return [Math.min(this.anchor, this.cursor), Math.max(this.anchor, this.cursor) + 1];
  }

  /** Where what is inserted goes: after the selection, else at the end. */
  get place() { return this.range[1]; }

  set(tiles, select = null) {
    if (!tiles.length) { this.complain("A strip keeps at least one frame."); return; }
    if (tiles.length > this.most) { this.complain(`A strip has at most ${this.most} frames.`); return; }
    this.history.set(tiles);
    this.#selectAfter(select);
    this.render();
    if (select) this.#reveal();
    this.changed();
  }

  /** Scrolls the strip, and nothing else, to the end of the selection. */
  #reveal() {
    const { box } = this;
    const tile = box.children[this.cursor];
    const right = tile.offsetLeft - box.offsetLeft + tile.offsetWidth;
    if (right > box.scrollLeft + box.clientWidth) box.scrollLeft = right - box.clientWidth;
    else if (right - tile.offsetWidth < box.scrollLeft) box.scrollLeft = right - tile.offsetWidth;
  }

  /** Begins anew, with no way back: the codes of another run mean something else. */
  clear() { this.history = new History(); this.selecting = false; this.clipboard = []; this.render(); }

  insert(part) {
    const place = this.place;
    this.set(insert(this.tiles, place, part), [place, place + part.length]);
  }

  do(name) {
    const range = this.range;
    if (name === "undo" || name === "redo") {
      this.history[name]();
      this.#selectAfter(null);
      this.render();
      this.changed();
    } else if (name === "copy" || name === "cut") {
      this.clipboard = this.tiles.slice(...range);
      if (name === "cut") this.set(edits.remove(this.tiles, range), null);
      else this.render();
    } else if (name === "paste") {
      if (this.clipboard.length) this.insert(this.clipboard);
    } else {
      const was = this.tiles.length;
      const tiles = edits[name](this.tiles, range);
      const end = range[1] + tiles.length - was;
      this.set(tiles, this.selecting && end > range[0] ? [range[0], end] : null);
    }
  }

  #selectAfter(select) {
    this.selecting = Boolean(select);
    if (select) { this.anchor = select[0]; this.cursor = select[1] - 1; }
    const last = Math.max(0, this.tiles.length - 1);
    this.anchor = Math.min(this.anchor, last);
    this.cursor = Math.min(this.cursor, last);
  }

  render() {
    const { run, tiles, box } = this;
    while (box.children.length > tiles.length) box.lastChild.remove();
    tiles.forEach((tile, index) => {
      const node = box.children[index] || this.#tile();
      node.classList.toggle("many", tile.codes.length > 1);
      const bars = node.querySelectorAll("i");
      tile.codes.forEach((code, group) => {
        const bar = bars[group] || node.appendChild(document.createElement("i"));
        bar.style.background = colour(run, group, code);
        bar.textContent = code;
      });
      [...bars].slice(tile.codes.length).forEach((bar) => bar.remove());
      node.setAttribute("aria-label", `Frame ${index + 1}, code ${tile.codes.join(" ")}`);
    });
    this.#mark();
  }

  #tile() {
    const node = Object.assign(document.createElement("button"), { type: "button", className: "tile", tabIndex: -1 });
    node.setAttribute("role", "option");
    const canvas = node.appendChild(document.createElement("canvas"));
    canvas.setAttribute("aria-hidden", "true");
    return this.box.appendChild(node);
  }

  #mark() {
    const [start, end] = this.range;
    [...this.box.children].forEach((node, index) => {
      node.setAttribute("aria-selected", String(this.selecting && index >= start && index < end));
      node.tabIndex = index === this.cursor ? 0 : -1;
    });
    const { length } = this.tiles;
    const those = end - start > 1 ? `frames ${start + 1} to ${end}` : `frame ${end}`;
    this.told.textContent = this.selecting
      ? `${those} of ${length} selected`
      : `${length} frames; ${FINGERS.matches ? "tap two" : "drag"} to select some, else all are meant`;
    this.buttons.paste.disabled = !this.clipboard.length;
    this.buttons.undo.disabled = !this.history.past.length;
    this.buttons.redo.disabled = !this.history.future.length;
  }

  /** Shows frames as they have been drawn. */
  paint(frames) {
    [...this.box.children].forEach((node, index) => frames.show(node.firstChild, index));
  }

  /** Marks the frame that is seen. */
  at(index) {
    this.box.querySelector(".now")?.classList.remove("now");
    this.box.children[index]?.classList.add("now");
  }

  #index(event) { return [...this.box.children].indexOf(event.target.closest(".tile")); }

  #press(event) {
    const index = this.#index(event);
    if (index < 0) { this.selecting = false; this.#mark(); return; }
    const again = this.selecting && this.anchor === index && this.cursor === index && !event.shiftKey;
    const touched = event.pointerType === "touch";
    const second = touched && this.selecting && this.anchor === this.cursor && !again;
    if (!event.shiftKey && !second) this.anchor = index;
    this.cursor = index;
    this.selecting = !again;
    this.dragging = !touched;
    this.#mark();
    this.looked(index);
    event.target.closest(".tile").focus({ preventScroll: true });
    event.preventDefault();
  }

  #over(event) {
    const index = this.#index(event);
    if (index < 0) return;
    if (this.dragging) { this.cursor = index; this.#mark(); return; }
    this.peek(this.box.children[index], this.tiles[index].codes, index);
  }

  #key(event) {
    const plain = { r: "repeat", v: "reverse", s: "stretch", q: "squeeze", Delete: "remove", Backspace: "remove" };
    const held = { x: "cut", c: "copy", v: "paste", z: event.shiftKey ? "redo" : "undo", y: "redo" };
    const moves = { ArrowLeft: this.cursor - 1, ArrowRight: this.cursor + 1, Home: 0, End: this.tiles.length - 1 };
    const control = event.ctrlKey || event.metaKey;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key in moves) this.#move(moves[key], event.shiftKey);
    else if (control && key === "a") { this.anchor = 0; this.cursor = this.tiles.length - 1; this.selecting = true; this.#mark(); }
    else if (control && held[key]) this.do(held[key]);
    else if (!control && key === "Escape") { this.selecting = false; this.#mark(); }
    else if (!control && plain[key]) this.do(plain[key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.box.children[this.cursor]?.focus();
  }

  #move(to, extend) {
    this.cursor = Math.max(0, Math.min(this.tiles.length - 1, to));
    if (!extend) this.anchor = this.cursor;
    this.selecting = true;
    this.#mark();
    this.looked(this.cursor);
  }
}
