// Content, driving clip and result, in step: one clock for all canvases.

import { sized } from "./picture.js";

const $ = (id) => document.getElementById(id);

export class Player {
  constructor({ seen }) {
    this.seen = seen;
    this.index = 0;
    this.length = 1;
    this.fps = 8;
    this.playing = true;
    this.live = false;
    this.screens = {}; // name -> {frames, at: index of the strip -> index of its frame}
    $("play").addEventListener("click", () => this.toggle());
    $("back").addEventListener("click", () => this.step(-1));
    $("next").addEventListener("click", () => this.step(1));
    $("scrub").addEventListener("input", () => { this.pause(); this.go(Number($("scrub").value)); });
    $("onion").addEventListener("change", () => this.paint());
    addEventListener("keydown", (event) => this.#key(event));
    let last = performance.now();
    const tick = (now) => {
      const wait = 1000 / (this.fps * Number($("speed").value));
      if (this.playing && now - last >= wait) {
        last = now - last > 4 * wait ? now : last + wait;
        this.go((this.index + 1) % this.length);
      } else if (!this.playing) { last = now; }
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  set(name, frames, at = (index) => index) {
    this.screens[name] = frames && { frames, at };
    $(name).hidden = name === "other" && !frames;
    this.paint();
  }

  lasts(length) {
    this.length = Math.max(1, length);
    $("scrub").max = this.length - 1;
    this.go(Math.min(this.index, this.length - 1));
  }

  go(index) {
    this.index = index;
    $("scrub").value = index;
    $("frame").textContent = `${index + 1} / ${this.length}`;
    this.paint();
    this.seen(index);
  }

  step(by) { this.pause(); this.go((this.index + by + this.length) % this.length); }
  pause() { this.#set(false); }
  toggle() { this.#set(!this.playing); }

  #set(playing) {
    this.playing = playing;
    $("play").textContent = playing ? "❚❚" : "►";
    $("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  paint() {
    for (const [name, screen] of Object.entries(this.screens)) {
      const canvas = $(name).querySelector("canvas");
      if (this.live && name === "result") continue;
      if (!screen) { sized(canvas, canvas.width, canvas.height).clearRect(0, 0, canvas.width, canvas.height); continue; }
      screen.frames.show(canvas, screen.at(this.index));
      if ($("onion").checked && name === "result") this.#skin(canvas, screen);
    }
  }

  #skin(canvas, { frames, at }) {
    const context = canvas.getContext("2d");
    for (const [by, alpha] of [[-2, 0.16], [-1, 0.32], [1, 0.22]]) {
      const index = this.index + by;
      if (index >= 0 && index < this.length && at(index) < frames.count) frames.put(context, at(index), alpha);
    }
  }

  #key(event) {
    if (event.target.closest("input, select, textarea, button, summary, .tile") && event.key === " ") return;
    if (event.target.closest("input[type=text], input[type=number], select") || event.ctrlKey || event.metaKey) return;
    const does = { " ": () => this.toggle(), ",": () => this.step(-1), ".": () => this.step(1) }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }
}
