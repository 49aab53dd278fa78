// What the motion costs, and files to keep.

import { ask, bytes } from "./api.js";

const $ = (id) => document.getElementById(id);

function rows(body, values, digits) {
  const most = Math.max(...values.map(([, value]) => value || 0));
  body.replaceChildren(...values.map(([name, value, title]) => {
    const row = document.createElement("tr");
    row.title = title;
    const head = row.appendChild(document.createElement("th"));
    head.scope = "row";
    head.textContent = name;
    const cell = row.appendChild(document.createElement("td"));
    cell.className = "bar";
    if (value !== null) cell.appendChild(document.createElement("div")).style.width = `${(100 * value) / most}%`;
    row.appendChild(document.createElement("td")).textContent = value === null
      ? "–" : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return row;
  }));
}

export async function measure(question, content) {
  const told = await ask("/api/meter", question, true);
  rows($("bits"), [
    ["even", told.flat, "all codes as likely as each other"],
    ["by use", told.use, "by how often the data set uses each code; – where it never does"],
    ["by the prior", told.prior, "by the prior, which knows the frames before; – where the run has none"],
  ], 2);
  rows($("bytes"), [
    ["GIF", told.gif, "one palette, no dithering"],
    ["MP4", told.mp4, "H.264, high quality"],
    [".vdd", told.vdd, "content once, and codes by the prior"],
  ], 0);
  $("meter").querySelector(".hint").textContent = `${told.frames} frames`;
  $("once").textContent = `(and ${content.content_bits} of content, once)`;
}

export function files(kinds, { question, complain, say }) {
  const titles = { gif: "GIF", mp4: "MP4", png: "PNG sheet", npy: ".npy", vdd: ".vdd", py: "Python" };
  for (const kind of kinds) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: titles[kind] });
    button.dataset.kind = kind;
    button.addEventListener("click", async () => {
      try {
        const blob = await bytes(`/api/out/${kind}`, question());
        if (kind === "py") { await show(blob); return; }
        const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `result.${kind}` });
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 10000);
        say(`result.${kind}: ${blob.size.toLocaleString("en")} bytes`);
      } catch (error) { complain(error); }
    });
    $("out").append(button);
  }
  $("call").querySelector("button").addEventListener("click", async () => {
    await navigator.clipboard.writeText($("call").querySelector("pre").textContent);
    say("copied");
  });
}

async function show(blob) {
  $("call").hidden = false;
  $("call").querySelector("pre").textContent = await blob.text();
}
