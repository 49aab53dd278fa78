// The atlas: every code on the chosen content. Drawn in parts, so that the first are there at once.

import { bytes } from "./api.js";
import { colour, Frames } from "./picture.js";

const PART = 32;

export class Atlas {
  constructor(box, { page, insert, peek }) {
    Object.assign(this, { box, page, insert, peek });
    this.words = [];
    this.shares = new Map();
    this.turn = 0;
    box.addEventListener("pointerleave", () => peek(null));
  }

  fill(words) {
    const { run } = this.page;
    this.words = words;
    this.shares = new Map(words.map(({ codes, share }) => [codes.join(), share]));
    this.box.replaceChildren(...words.map(({ codes, share }) => {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.setAttribute("aria-label", `Insert code ${codes.join(" ")}, ${percent(share)} of the frames`);
      button.append(document.createElement("canvas"));
      const told = button.appendChild(document.createElement("span"));
      told.textContent = percent(share);
      told.style.setProperty("--code", codes.length === 1 ? colour(run, 0, codes[0]) : "transparent");
      button.addEventListener("click", () => this.insert(codes));
      button.addEventListener("pointerenter", () => this.peek(button, codes));
      return button;
    }));
  }

  async draw(content) {
    const { page, words } = this;
    const turn = ++this.turn;
    for (let start = 0; start < words.length; start += PART) {
      const codes = words.slice(start, start + PART).map((word) => word.codes);
      const question = { run: page.run.name, clip: content.id, codes, steps: 0, lane: "atlas" };
      const blob = await bytes("/api/draw", question, true);
      const frames = await Frames.of(blob, codes.length, page.run, page.about.columns);
      if (turn !== this.turn) return;
      codes.forEach((_, i) => frames.show(this.box.children[start + i].firstChild, i));
    }
  }
}

export const percent = (share) => (share ? `${(100 * share).toFixed(share < 0.0095 ? 2 : 1)} %` : "unused");
