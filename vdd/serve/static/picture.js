// Frames that came as one picture, and canvases that show them.

export class Frames {
  constructor(bitmap, count, width, height, columns) {
    Object.assign(this, { bitmap, count, width, height, columns });
  }

  static async of(blob, count, run, columns) {
    const [height, width] = run.size;
    return new Frames(await createImageBitmap(blob), count, width, height, columns);
  }

  /** Draws a frame over what is there. */
  put(context, index, alpha = 1) {
    const { width, height, columns } = this;
    const x = (index % columns) * width;
    const y = Math.floor(index / columns) * height;
    context.globalAlpha = alpha;
    context.drawImage(this.bitmap, x, y, width, height, 0, 0, width, height);
    context.globalAlpha = 1;
  }

  /** Shows a frame, and nothing else. */
  show(canvas, index) {
    const context = sized(canvas, this.width, this.height);
    context.clearRect(0, 0, this.width, this.height);
    if (index >= 0 && index < this.count) this.put(context, index);
  }
}

export function sized(canvas, width, height) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  return context;
}

/** A colour for a code: hues far apart; of groups with few codes a hue a group, lighter by code. */
export function colour(run, group, code) {
  if (run.codes > 12) return `hsl(${(code * 137.508 + group * 61) % 360} 62% 68%)`;
  const light = 38 + (44 * code) / Math.max(1, run.codes - 1);
  return `hsl(${(group * 360) / run.groups + 20} 60% ${light}%)`;
}

/** Shows the codes of a frame that comes from no clip: a band a group. */
export function showCode(canvas, run, codes) {
  const side = 256;
  const context = sized(canvas, side, side);
  const height = side / codes.length;
  Object.assign(context, { textAlign: "center", textBaseline: "middle", font: `600 ${Math.min(96, 0.6 * height)}px system-ui` });
  codes.forEach((code, group) => {
    context.fillStyle = colour(run, group, code);
    context.fillRect(0, group * height, side, Math.ceil(height));
    context.fillStyle = "#0009";
    context.fillText(code, side / 2, (group + 0.5) * height);
  });
}
