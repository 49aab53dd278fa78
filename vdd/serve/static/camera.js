// Frames of a camera, a video file or the driving clip drive the content, one in flight at a time.

import { clientId } from "./api.js";

const $ = (id) => document.getElementById(id);
const EVERY = 30; // frames over which latency and rate are told

export class Camera {
  constructor({ page, show, ended, complain }) {
    Object.assign(this, { page, show, ended, complain });
    $("live").addEventListener("click", () => (this.socket ? this.stop() : this.#camera()));
    $("stand-in").addEventListener("click", () => this.#clip());
    $("live-file").addEventListener("change", (event) => {
      const [file] = event.target.files;
      event.target.value = "";
      if (file) this.#file(file);
    });
  }

  async #camera() {
    const turn = this.#turn();
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
    } catch {
      this.complain(new Error("There is no camera here, or it may not be used: take a file or the driving clip instead."));
      return;
    }
    if (turn !== this.turn) { end(stream); return; }
    this.stream = stream;
    const video = this.#video();
    video.srcObject = stream;
    await this.#play(video);
  }

  /** Whatever is waited for belongs to the latest turn, or is let go. */
  #turn() { this.turn = (this.turn || 0) + 1; return this.turn; }

  /** The same frames drive the content that has been chosen since. */
  again() { if (this.socket) this.#open(this.look); }

  async #file(file) {
    this.stop();
    const video = this.#video();
    video.src = URL.createObjectURL(file);
    video.loop = true;
    await this.#play(video);
  }

  #video() { return Object.assign(document.createElement("video"), { muted: true, playsInline: true }); }

  async #play(video) {
    const { turn } = this;
    try { await video.play(); } catch {
      if (turn === this.turn) { this.complain(new Error("This browser cannot play that video.")); this.stop(); }
      return;
    }
    if (turn !== this.turn) { video.pause(); return; }
    this.video = video;
    this.#open((context, width, height) => {
      const { videoWidth: w, videoHeight: h } = video;
      const side = Math.max(width / w, height / h);
      context.drawImage(video, (width - w * side) / 2, (height - h * side) / 2, w * side, h * side);
    });
  }

  async #clip() {
    this.stop();
    const clip = this.page.motion;
    if (!clip) { this.complain(new Error("Choose a driving clip first.")); return; }
    const { turn } = this;
    const frames = await this.page.framesOf(clip);
    if (turn !== this.turn) return;
    let index = 0;
    this.#open((context) => frames.put(context, (index += 1) % frames.count));
  }

  #open(look) {
    this.socket?.close();
    this.look = look;
    this.figures = null;
    const { run, content } = this.page;
    const [height, width] = run.size;
    Object.assign($("eye"), { width, height });
    const context = $("eye").getContext("2d", { willReadFrequently: true });
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/camera`);
    this.socket = socket;
    let sent = 0;
    let times = [];
    const send = () => {
      if (socket.readyState !== WebSocket.OPEN) return;
      context.clearRect(0, 0, width, height);
      look(context, width, height);
      sent = performance.now();
      socket.send(context.getImageData(0, 0, width, height).data);
    };
    socket.onopen = () => socket.send(JSON.stringify({ client: clientId(), run: run.name, clip: content.id }));
    socket.onmessage = async ({ data }) => {
      if (socket !== this.socket) return; // stopped meanwhile
      if (typeof data === "string" && data !== "ready") { this.complain(new Error(JSON.parse(data).error)); return; }
      if (typeof data !== "string") {
        const now = performance.now();
        const bitmap = await createImageBitmap(data);
        if (socket !== this.socket) return;
        this.show(bitmap);
        times = [...times, [sent, now]].slice(-EVERY);
        this.#tell(times);
      }
      requestAnimationFrame(send);
    };
    socket.onclose = () => { if (this.socket === socket) this.stop(); };
    $("live").textContent = "Stop";
    $("live-told").textContent = "starting";
  }

  #tell(times) {
    const waits = times.map(([from, to]) => to - from).sort((a, b) => a - b);
    const latency = waits[Math.floor(waits.length / 2)];
    const seconds = (times.at(-1)[1] - times[0][0]) / 1000;
    this.figures = { latency, fps: times.length / seconds, frames: (this.figures?.frames || 0) + 1 };
    $("live-told").textContent = `${latency.toFixed(0)} ms, ${this.figures.fps.toFixed(1)} frames a second`;
  }

  stop() {
    const { socket } = this;
    this.#turn();
    this.socket = null;
    socket?.close();
    end(this.stream);
    this.video?.pause();
    if (this.video?.src) URL.revokeObjectURL(this.video.src);
    this.stream = this.video = null;
    $("live").textContent = "Start camera";
    $("live-told").textContent = "";
    this.ended();
  }
}

function end(stream) { stream?.getTracks().forEach((track) => track.stop()); }
