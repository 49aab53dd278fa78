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
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
    } catch {
      this.complain(new Error("There is no camera here, or it may not be used: take a file or the driving clip instead."));
      return;
    }
    const video = this.#video();
    video.srcObject = this.stream;
    await this.#play(video);
  }

  async #file(file) {
    this.stop();
    const video = this.#video();
    video.src = URL.createObjectURL(file);
    video.loop = true;
    await this.#play(video);
  }

  #video() { return Object.assign(document.createElement("video"), { muted: true, playsInline: true }); }

  async #play(video) {
    try { await video.play(); } catch { this.complain(new Error("This browser cannot play that video.")); this.stop(); return; }
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
    const frames = await this.page.framesOf(clip);
    let index = 0;
    this.#open((context) => frames.put(context, (index += 1) % frames.count));
  }

  #open(look) {
    this.socket?.close();
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
      if (typeof data === "string" && data !== "ready") { this.complain(new Error(JSON.parse(data).error)); return; }
      if (typeof data !== "string") {
        const now = performance.now();
        this.show(await createImageBitmap(data));
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
    this.socket = null;
    socket?.close();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.video?.pause();
    this.stream = this.video = null;
    $("live").textContent = "Start camera";
    $("live-told").textContent = "";
    this.ended();
  }
}
