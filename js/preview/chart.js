import { h, sharpContext, themeColor } from "./dom.js";
import { number, tickIndices, tickValues } from "./format.js";

const MARGIN = { left: 62, right: 14, top: 12, bottom: 30 };
const HEIGHT = 220;

/** A line through a series of values, with gaps where there is none; pointer and arrow keys read it. */
export class Chart {
  /**
   * @param {HTMLElement} host
   * @param {(index: number) => void} onHover
   */
  constructor(host, onHover) {
    this.canvas = h("canvas", { tabindex: "0", role: "img" });
    this.onHover = onHover;
    host.append(this.canvas);
    this.canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {{values: ArrayLike<number>, labels: (index: number) => string, at?: number}} series */
  show(series) {
    this.series = series;
    this.index = series.at ?? 0;
    this.draw();
  }

  draw() {
    const { context, width, height } = sharpContext(this.canvas, HEIGHT);
    const { values, labels } = this.series;
    const finite = Array.from(values).filter(Number.isFinite);
    let [low, high] = finite.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
    if (!finite.length) [low, high] = [0, 1];
    if (low === high) [low, high] = [low - 1, high + 1];
    this.box = { x: MARGIN.left, y: MARGIN.top, width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
    const place = this.#places(low, high);
    this.#axes(context, low, high, place, labels);
    this.#line(context, values, place);
    this.#dot(context, values, place);
    if (!finite.length) context.fillText("no values along this line", this.box.x + this.box.width / 2, this.box.y + this.box.height / 2);
  }

  #places(low, high) {
    const { x, y, width, height } = this.box;
    const last = Math.max(1, this.series.values.length - 1);
    return { x: (index) => x + (index / last) * width, y: (value) => y + height - ((value - low) / (high - low)) * height };
  }

  #axes(context, low, high, place, labels) {
    const { x, y, width, height } = this.box;
    context.strokeStyle = themeColor("line");
    context.fillStyle = themeColor("muted");
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const tick of tickValues(low, high, 5)) {
      context.fillText(number(tick), x - 6, place.y(tick));
      context.beginPath();
      context.moveTo(x, Math.round(place.y(tick)) + 0.5);
      context.lineTo(x + width, Math.round(place.y(tick)) + 0.5);
      context.stroke();
    }
    context.textBaseline = "top";
    const room = context.measureText(labels(0)).width + 30;
    for (const index of tickIndices(this.series.values.length, Math.max(2, Math.floor(width / room)))) {
      const half = context.measureText(labels(index)).width / 2;
      const at = Math.min(Math.max(place.x(index), half + 2), x + width + MARGIN.right - half - 2);
      context.textAlign = "center";
      context.fillText(labels(index), at, y + height + 8);
    }
  }

  #line(context, values, place) {
    context.strokeStyle = themeColor("accent");
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.beginPath();
    for (let i = 0; i < values.length; i++) {
      if (!Number.isFinite(values[i])) continue;
      if (i > 0 && Number.isFinite(values[i - 1])) context.lineTo(place.x(i), place.y(values[i]));
      else context.moveTo(place.x(i), place.y(values[i]));
    }
    context.stroke();
    context.lineWidth = 1;
    context.fillStyle = themeColor("accent");
    if (values.length > 120) return;
    for (let i = 0; i < values.length; i++) if (Number.isFinite(values[i])) dot(context, place.x(i), place.y(values[i]), 2.5);
  }

  #dot(context, values, place) {
    const value = values[this.index];
    if (!Number.isFinite(value)) return;
    context.fillStyle = themeColor("text");
    dot(context, place.x(this.index), place.y(value), 5);
  }

  #point(event) {
    if (!this.series) return;
    const bounds = this.canvas.getBoundingClientRect();
    const share = (event.clientX - bounds.left - this.box.x) / this.box.width;
    this.go(Math.round(share * (this.series.values.length - 1)));
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !this.series) return;
    event.preventDefault();
    this.go(this.index + step * (event.shiftKey ? 10 : 1));
  }

  /** Mark and read one value. */
  go(index) {
    this.index = Math.min(Math.max(index, 0), this.series.values.length - 1);
    this.draw();
    this.onHover(this.index);
  }
}

function dot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}
