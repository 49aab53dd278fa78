// Galleries, and files that are dropped.

import { ask, bytes, upload } from "./api.js";
import { Frames } from "./picture.js";

export class Picker {
  constructor(card, { page, chosen, complain, coded = null }) {
    Object.assign(this, { card, page, chosen, complain, coded });
    this.box = card.querySelector(".gallery");
    card.querySelector(".file").addEventListener("change", (event) => {
      const [file] = event.target.files;
      event.target.value = "";
      if (file) this.open(file);
    });
    card.querySelector(".random").addEventListener("click", () => this.#tell(async () => {
      const { run } = page;
      const clip = await ask("/api/random", { run: run.name });
      if (run === page.run) this.add(clip);
    }));
  }

  /** What is dropped on an element goes to this picker. */
  takes(element) {
    const over = (event) => { event.preventDefault(); element.classList.add("over"); };
    element.addEventListener("dragover", over);
    element.addEventListener("dragleave", () => element.classList.remove("over"));
    element.addEventListener("drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      element.classList.remove("over");
      const [file] = event.dataTransfer.files;
      if (file) this.open(file);
    });
  }

  open(file) {
    return this.#tell(async () => {
      if (file.size > this.page.about.upload_bytes) {
        throw new Error(`That file is larger than ${this.page.about.upload_bytes / 2 ** 20} MiB.`);
      }
      if (this.coded && file.name.toLowerCase().endsWith(".vdd")) { await this.coded(file); return; }
      const layout = this.card.querySelector(".layout")?.value.trim() || "";
      const { run } = this.page;
      const face = run.faces && this.card.querySelector(".face input").checked;
      const clip = await upload(file, run.name, layout, face);
      if (run !== this.page.run) return;
      this.add(clip);
      if (clip.told) this.page.say(`${clip.name}: ${clip.told}`);
    });
  }

  async #tell(work) {
    try { await work(); } catch (error) { this.complain(error); }
  }

  /** Shows the clips of the gallery. */
  fill(clips) {
    this.box.replaceChildren();
    this.buttons = new Map();
    clips.forEach((clip) => this.#button(clip));
  }

  /** A clip that has come, and chooses it. */
  add(clip) {
    this.#button(clip, true);
    while (this.box.children.length > 36) this.box.lastChild.remove();
    this.choose(clip);
  }

  /** Marks a clip as the one that was chosen; null marks none. */
  press(clip) {
    for (const button of this.box.children) button.setAttribute("aria-pressed", String(button.dataset.clip === clip?.id));
  }

  choose(clip) {
    this.press(clip);
    this.#tell(() => this.chosen(clip));
  }

  #button(clip, first = false) {
    const old = [...this.box.children].find((node) => node.dataset.clip === clip.id);
    if (old) return;
    const button = Object.assign(document.createElement("button"), { type: "button", title: clip.name });
    button.dataset.clip = clip.id;
    button.setAttribute("aria-label", clip.name);
    button.setAttribute("aria-pressed", "false");
    const canvas = button.appendChild(document.createElement("canvas"));
    button.addEventListener("click", () => this.choose(clip));
    if (first) this.box.prepend(button); else this.box.append(button);
    this.page.framesOf(clip).then((frames) => {
      const rest = Math.floor(frames.count / 3);
      frames.show(canvas, rest);
      let timer = 0;
      const stop = () => { clearInterval(timer); frames.show(canvas, rest); };
      button.addEventListener("pointerenter", () => {
        let index = 0;
        timer = setInterval(() => frames.show(canvas, (index += 1) % frames.count), 125);
      });
      button.addEventListener("pointerleave", stop);
    }).catch(() => button.remove());
  }
}

/** Frames of clips, each fetched once for a run, four at a time. */
export class Shelf {
  constructor(about) {
    this.about = about;
    this.kept = new Map();
    this.turns = [Promise.resolve(), Promise.resolve(), Promise.resolve(), Promise.resolve()];
    this.turn = 0;
  }

  get(run, clip) {
    const key = `${run.name}\n${clip.id}`;
    if (!this.kept.has(key)) {
      this.turn = (this.turn + 1) % this.turns.length;
      const fetched = this.turns[this.turn].then(async () => {
        const blob = await bytes("/api/frames", { run: run.name, clip: clip.id }, true);
        return Frames.of(blob, clip.frames, run, this.about.columns);
      });
      this.turns[this.turn] = fetched.catch(() => {});
      fetched.catch(() => this.kept.delete(key));
      this.kept.set(key, fetched);
    }
    return this.kept.get(key);
  }
}
