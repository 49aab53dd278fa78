// What the server is asked. Long work is shown with its progress, and can be cancelled.

let client = "";
const working = new Map(); // job -> {since, told}

export class Refused extends Error {}

async function answer(response) {
  if (response.status === 204) throw Object.assign(new Refused("That was cancelled."), { cancelled: true });
  if (response.ok) return response;
  let text = "The server does not answer.";
  try { text = (await response.json()).error || text; } catch { /* no JSON: the words above */ }
  throw new Refused(text);
}

async function send(path, options) {
  const job = Array.from(crypto.getRandomValues(new Uint8Array(8)), (x) => x.toString(16).padStart(2, "0")).join("");
  working.set(job, { since: performance.now(), quiet: options.quiet });
  try {
    const headers = { "x-vdd-client": client, "x-vdd-job": job };
    return await answer(await fetch(path, { ...options, headers }));
  } catch (error) {
    if (error instanceof TypeError) throw new Refused("The server cannot be reached: is vdd serve still running?");
    throw error;
  } finally {
    working.delete(job);
  }
}

export async function hello() {
  const told = await (await answer(await fetch("/api/hello", { method: "POST" }))).json();
  client = told.client;
  return told;
}

export const clientId = () => client;

/** Asks, and gives the response's JSON. */
export async function ask(path, question, quiet = false) {
  return (await send(path, { method: "POST", body: JSON.stringify(question), quiet })).json();
}

/** Asks, and gives the response's bytes. */
export async function bytes(path, question, quiet = false) {
  return (await send(path, { method: "POST", body: JSON.stringify(question), quiet })).blob();
}

export async function upload(file, run, layout, face) {
  const query = new URLSearchParams({ name: file.name.slice(-150), run, layout, face: face ? "yes" : "" });
  return (await send(`/api/clips?${query}`, { method: "PUT", body: file })).json();
}

/** The codes in a .vdd file. */
export async function coded(file, run) {
  return (await send(`/api/coded?${new URLSearchParams({ run })}`, { method: "PUT", body: file })).json();
}

/** Shows what has been in work for longer than a moment; called a few times a second. */
export async function watch(show) {
  const now = performance.now();
  const long = [...working].filter(([, work]) => now - work.since > 600 && !work.quiet);
  if (!long.length) { show(null); return; }
  try {
    const [job] = long[0];
    const headers = { "x-vdd-client": client };
    const told = await (await fetch(`/api/jobs/${job}`, { headers })).json();
    show(told || { done: 0, total: 0, doing: "working" });
  } catch { show(null); }
}

export async function cancel() {
  const headers = { "x-vdd-client": client };
  await Promise.all([...working.keys()].map((job) => fetch(`/api/jobs/${job}`, { method: "DELETE", headers })));
}
