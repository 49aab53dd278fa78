// The page: what is chosen, and what follows from it.

import { ask, bytes, cancel, coded, hello, watch } from "./api.js";
import { Atlas, percent } from "./atlas.js";
import { Camera } from "./camera.js";
import { files, measure } from "./meter.js";
import { Picker, Shelf } from "./picker.js";
import { Frames, showCode, sized } from "./picture.js";
import { Player } from "./player.js";
import { Strip } from "./strip.js";

const STEPS = [0, 1, 2, 4, 8, 16]; // of the sampler

const $ = (id) => document.getElementById(id);

const page = {
  about: null, run: null, content: null, motion: null, shelf: null, latencies: [],
  framesOf: (clip, run = page.run) => page.shelf.get(run, clip),
  say: (text) => { $("status").textContent = text; },
};
window.page = page; // for whoever looks at it in a console

function complain(error) {
  if (error.cancelled) return;
  $("error").hidden = false;
  $("error").querySelector("span").textContent = error.message || String(error);
}
const forgive = () => { $("error").hidden = true; };
const caught = (work) => async (...args) => { try { await work(...args); } catch (error) { complain(error); } };

const player = new Player({ seen: (index) => strip?.at(index) });
const strip = new Strip({
  box: $("tiles"), tools: $("tools"), told: $("selected"), peek,
  changed: () => redraw(),
  looked: (index) => { player.pause(); player.go(index); },
  complain: (text) => complain(new Error(text)),
});
const atlas = new Atlas($("atlas").querySelector(".words"), {
  page, peek, insert: (codes) => strip.insert([{ codes, from: null }]),
});
const contents = new Picker($("pick-content"), { page, chosen: chooseContent, complain });
const motions = new Picker($("pick-motion"), { page, chosen: chooseMotion, coded: openCoded, complain });
const camera = new Camera({
  page, complain,
  show: (bitmap) => {
    player.live = true;
    sized($("result").querySelector("canvas"), bitmap.width, bitmap.height).drawImage(bitmap, 0, 0);
  },
  ended: () => { player.live = false; player.paint(); },
});
contents.takes($("pick-content"));
contents.takes($("content"));
motions.takes($("pick-motion"));
motions.takes($("motion"));

const steps = () => ($("steps").value === "" ? null : Number($("steps").value));
const rate = () => page.fps || 8;
const question = () => ({
  run: page.run.name, clip: page.content.id, codes: strip.tiles.map((tile) => tile.codes),
  steps: steps(), fps: rate(),
});

async function draw(asked, run, lane) {
  const blob = await bytes("/api/draw", { ...asked, run: run.name, lane });
  return Frames.of(blob, asked.codes.length, run, page.about.columns);
}

let drawing = 0;
const redraw = caught(async () => {
  if (!page.content || !strip.tiles.length) return;
  const turn = ++drawing;
  const began = performance.now();
  const { run } = page;
  const tiles = strip.tiles;
  const frames = await draw(question(), run, "result");
  if (run !== page.run || turn !== drawing) return;
  page.result = frames;
  player.lasts(tiles.length);
  player.set("result", frames);
  strip.paint(frames);
  const took = performance.now() - began;
  await showDriving(tiles);
  page.latencies.push(took);
  page.say(`drawn in ${took.toFixed(0)} ms`);
  $("result").querySelector(".name").textContent = `${tiles.length} frames`;
  forgive();
  later();
});

/** The frame of the driving clip that each tile came from, or its codes if from none. */
async function showDriving(tiles) {
  const known = [...new Set(tiles.map((tile) => tile.from?.clip))].filter(Boolean);
  const frames = new Map();
  for (const clip of known) frames.set(clip, await page.framesOf(clip));
  const { run } = page;
  player.set("motion", {
    count: tiles.length,
    show(canvas, index) {
      const tile = tiles[index];
      if (tile?.from) frames.get(tile.from.clip).show(canvas, tile.from.frame);
      else if (tile) showCode(canvas, run, tile.codes);
    },
  });
}

let waiting = 0;
function later() {
  clearTimeout(waiting);
  waiting = setTimeout(caught(async () => {
    await compare();
    await measure(question(), page.content);
  }), 250);
}

/** The same beside it, by another run or in another number of steps. */
async function compare() {
  const chosen = $("compare").value;
  if (!chosen) { player.set("other", null); return; }
  const [kind, value] = chosen.split(":", 2);
  const asked = question();
  if (kind === "steps") {
    const frames = await draw({ ...asked, steps: Number(value) }, page.run, "other");
    player.set("other", frames);
  } else {
    const run = page.about.runs[Number(value)];
    const froms = strip.tiles.map((tile) => tile.from);
    if (froms.includes(null)) throw new Error("Another run cannot follow codes that come from no clip.");
    const codes = new Map();
    for (const { clip } of froms) {
      if (!codes.has(clip)) codes.set(clip, (await ask("/api/read", { run: run.name, clip: clip.id })).codes);
    }
    const theirs = froms.map(({ clip, frame }) => codes.get(clip)[frame]);
    player.set("other", await draw({ ...asked, codes: theirs, steps: null }, run, "other"));
  }
  $("other").querySelector(".name").textContent = $("compare").selectedOptions[0].textContent;
}

async function chooseContent(clip) {
  page.content = clip;
  $("content").querySelector(".name").textContent = clip.name;
  const frames = await page.framesOf(clip);
  if (clip !== page.content) return; // another was chosen meanwhile
  player.set("content", frames, (index) => index % frames.count);
  camera.again();
  await redraw();
  if (atlas.words.length) atlas.draw(clip).catch(complain);
}

async function chooseMotion(clip) {
  const tiles = clip.codes.map((codes, frame) => ({ codes, from: { clip, frame } }));
  Object.assign(page, { motion: clip, fps: clip.fps });
  player.fps = rate();
  $("motion").querySelector(".name").textContent = clip.name;
  play(tiles);
}

async function openCoded(file) {
  const { codes, fps } = await coded(file, page.run.name);
  playCodes(codes, file.name, fps);
}

/** Codes that come from no clip. */
function playCodes(codes, name, fps = null) {
  motions.press(null);
  if (fps) { page.motion = null; page.fps = player.fps = fps; }
  $("motion").querySelector(".name").textContent = name;
  play(codes.map((code) => ({ codes: code, from: null })));
}

function play(tiles) {
  if ($("insert").checked && strip.tiles.length) strip.insert(tiles);
  else strip.set(tiles);
}

function peek(node, codes, index) {
  const box = $("peek");
  box.hidden = !node;
  if (!node) return;
  const source = node.querySelector("canvas");
  const canvas = box.querySelector("canvas");
  const context = sized(canvas, source.width, source.height);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, 0, 0);
  const share = atlas.shares.get(codes.join());
  const told = share === undefined ? "not in the atlas" : `${percent(share)}${share ? " of frames" : ""}`;
  box.querySelector("p").textContent = `${index === undefined ? "" : `frame ${index + 1}, `}code ${codes.join(" ")}: ${told}`;
  const place = node.getBoundingClientRect();
  const left = Math.max(8, Math.min(innerWidth - 168, place.left + place.width / 2 - 80));
  const above = place.bottom + 230 > innerHeight && place.top > 220;
  Object.assign(box.style, { left: `${left}px`, top: above ? "" : `${place.bottom + 8}px`, bottom: above ? `${innerHeight - place.top + 8}px` : "" });
}

function option(value, text) { return Object.assign(document.createElement("option"), { value, textContent: text }); }

const chooseRun = caught(async () => {
  const run = page.about.runs[$("run").selectedIndex];
  Object.assign(page, { run, content: null, motion: null });
  Object.assign(strip, { run, most: page.about.frames });
  strip.clear();
  atlas.fill([]);
  camera.stop();
  $("steps").replaceChildren(
    option("", run.steps || "0, mean"),
    ...STEPS.filter((n) => n !== run.steps).map((n) => option(n, n || "0, mean")),
  );
  $("compare").replaceChildren(
    option("", "nothing"),
    ...STEPS.map((n) => option(`steps:${n}`, n ? `${n} step${n > 1 ? "s" : ""}` : "the mean")),
    ...page.about.runs.map((other, i) => option(`run:${i}`, other.name)).filter((_, i) => page.about.runs[i] !== run),
  );
  for (const field of document.querySelectorAll(".face")) field.hidden = !run.faces;
  $("made").hidden = !run.prior;
  $("named-field").hidden = !Object.keys(run.motions).length;
  $("named").replaceChildren(option("", "choose"), ...Object.keys(run.motions).map((name) => option(name, name.replaceAll("_", " "))));
  const gallery = await ask("/api/gallery", { run: run.name });
  if (page.run !== run) return;
  contents.fill(gallery);
  motions.fill(gallery);
  contents.choose(gallery[0]);
  motions.choose(gallery[Math.floor(gallery.length / 2)]);
  const words = await ask("/api/words", { run: run.name }, true);
  if (page.run !== run) return;
  atlas.fill(words);
  await atlas.draw(page.content);
});

function wire() {
  $("run").addEventListener("change", chooseRun);
  $("steps").addEventListener("change", () => redraw());
  $("compare").addEventListener("change", caught(compare));
  $("named").addEventListener("change", () => {
    const codes = page.run.motions[$("named").value];
    if (!codes) return;
    playCodes(codes, $("named").selectedOptions[0].textContent);
  });
  $("temperature").addEventListener("input", () => { $("temperature-told").value = $("temperature").value; });
  $("made").querySelector("form").addEventListener("submit", caught(async (event) => {
    event.preventDefault();
    const { codes } = await ask("/api/make_up", {
      run: page.run.name, frames: Number($("made-frames").value), seed: Number($("made-seed").value),
      temperature: Number($("temperature").value),
    });
    playCodes(codes, `made up, seed ${$("made-seed").value}`);
  }));
  $("cancel").addEventListener("click", caught(cancel));
  $("error").querySelector("button").addEventListener("click", forgive);
  for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
  addEventListener("keydown", (event) => {
    const control = event.ctrlKey || event.metaKey;
    if (control && event.key.toLowerCase() === "z" && !event.target.closest("input")) {
      event.preventDefault();
      strip.do(event.shiftKey ? "redo" : "undo");
    }
  });
  setInterval(() => watch((told) => {
    $("work").hidden = !told;
    if (!told) return;
    if (told.total > 1) Object.assign($("bar"), { max: told.total, value: told.done });
    else $("bar").removeAttribute("value");
    page.say(told.doing);
  }), 300);
}

function theme() {
  const root = document.documentElement;
  try { root.dataset.theme = localStorage.getItem("theme") || ""; } catch { /* it is not kept */ }
  $("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* it is not kept */ }
  });
}

const start = caught(async () => {
  theme();
  wire();
  history.replaceState(null, "", location.pathname); // a token in the address has become a cookie
  page.about = await hello();
  page.shelf = new Shelf(page.about);
  $("run").replaceChildren(...page.about.runs.map((run) => option(run.name, run.name)));
  const endings = page.about.endings.join();
  for (const input of document.querySelectorAll(".file")) input.accept = endings;
  $("pick-motion").querySelector(".file").accept += ",.vdd";
  files(["gif", ...(page.about.mp4 ? ["mp4"] : []), "png", "npy", "vdd", "py"], { question, complain, say: page.say });
  await chooseRun();
});
start();
