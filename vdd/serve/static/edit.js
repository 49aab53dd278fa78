// Edits of a strip: a tile is {codes, from}, from being {clip, frame} or null. Nothing changes in place.

const middle = (tiles, [start, end], change) => [
  ...tiles.slice(0, start), ...change(tiles.slice(start, end)), ...tiles.slice(end),
];

export const edits = {
  remove: (tiles, range) => middle(tiles, range, () => []),
  repeat: (tiles, range) => middle(tiles, range, (part) => [...part, ...part]),
  reverse: (tiles, range) => middle(tiles, range, (part) => part.toReversed()),
  stretch: (tiles, range) => middle(tiles, range, (part) => part.flatMap((tile) => [tile, tile])),
  squeeze: (tiles, range) => middle(tiles, range, (part) => part.filter((_, i) => i % 2 === 0)),
};

export const insert = (tiles, place, part) => tiles.toSpliced(place, 0, ...part);

export class History {
  constructor() { this.past = []; this.future = []; this.now = []; }

  set(tiles) {
    if (this.now.length) this.past.push(this.now);
    if (this.past.length > 200) this.past.shift();
    this.future = [];
    this.now = tiles;
  }

  undo() { this.#step(this.past, this.future); }
  redo() { this.#step(this.future, this.past); }

  #step(from, to) {
    if (!from.length) return;
    to.push(this.now);
    this.now = from.pop();
  }
}
