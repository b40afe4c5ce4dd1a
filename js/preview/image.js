import { colorTable } from "./colors.js";
import { h, hatch, sharpContext, themeColor } from "./dom.js";
import { number, tickIndices, tickValues } from "./format.js";

const MARGIN = { left: 62, right: 10, top: 8, bottom: 38 };

/**
 * A plane of values as an image with axes, and a cell that pointer or arrow keys choose.
 *
 * Set `plane` and call `draw`. The plane has `rows` × `columns` values (row-major, top row first) and labels.
 */
export class ImageView {
  /**
   * @param {HTMLElement} host
   * @param {{onHover: (cell: [number, number]) => void, onPick: (cell: [number, number]) => void}} events
   */
  constructor(host, { onHover, onPick }) {
    this.canvas = h("canvas", { tabindex: "0", role: "img" });
    this.onHover = onHover;
    this.onPick = onPick;
    this.cell = [0, 0];
    host.append(this.canvas);
    this.canvas.addEventListener("pointermove", (event) => this.#point(event, this.onHover));
    this.canvas.addEventListener("click", (event) => this.#point(event, this.onPick));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.canvas.addEventListener("focus", () => this.plane && this.draw());
    this.canvas.addEventListener("blur", () => this.plane && this.draw());
  }

  /** @param {any} plane values, rows, columns, rowLabels, columnLabels, rowName, columnName, range, scale */
  show(plane) {
    const same = this.plane?.rows === plane.rows && this.plane.columns === plane.columns;
    this.plane = plane;
    if (!same) this.cell = [plane.rows >> 1, plane.columns >> 1];
    this.picture = paint(plane);
    this.draw();
  }

  draw() {
    const { rows, columns } = this.plane;
    const room = this.canvas.parentElement.clientWidth - MARGIN.left - MARGIN.right;
    // Cells stay square where that fits; a very flat or tall plane is stretched to stay readable.
    const ideal = (room * rows) / columns;
    const tall = Math.round(Math.min(Math.max(ideal, 140), Math.max(260, Math.min(innerHeight * 0.62, 560))));
    const { context, width, height } = sharpContext(this.canvas, tall + MARGIN.top + MARGIN.bottom);
    const fits = Math.min(width - MARGIN.left - MARGIN.right, Math.max((tall * columns) / rows, 180));
    this.box = { x: MARGIN.left, y: MARGIN.top, width: fits, height: height - MARGIN.top - MARGIN.bottom };
    hatch(context, this.box.x, this.box.y, this.box.width, this.box.height, themeColor("hatch"));
    context.imageSmoothingEnabled = false;
    context.drawImage(this.picture, this.box.x, this.box.y, this.box.width, this.box.height);
    context.strokeStyle = themeColor("line");
    context.strokeRect(this.box.x - 0.5, this.box.y - 0.5, this.box.width + 1, this.box.height + 1);
    this.#axes(context);
    this.#marker(context);
  }

  #axes(context) {
    const { rows, columns, rowLabels, columnLabels, rowName, columnName } = this.plane;
    const { x, y, width, height } = this.box;
    context.fillStyle = themeColor("muted");
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const row of tickIndices(rows, Math.max(2, Math.floor(height / 40)))) {
      context.fillText(short(rowLabels(row)), x - 6, y + ((row + 0.5) / rows) * height, x - 8);
    }
    context.textBaseline = "top";
    const room = Math.max(...[0, columns - 1].map((i) => context.measureText(short(columnLabels(i))).width)) + 24;
    for (const column of tickIndices(columns, Math.max(2, Math.floor(width / room)))) {
      const at = x + ((column + 0.5) / columns) * width;
      const half = context.measureText(short(columnLabels(column))).width / 2;
      context.textAlign = at + half > x + width + MARGIN.right ? "right" : "center";
      context.fillText(short(columnLabels(column)), context.textAlign === "right" ? x + width : at, y + height + 6);
    }
    context.fillStyle = themeColor("text");
    context.textAlign = "center";
    context.fillText(`${columnName} →   ↑ ${rowName}`, x + width / 2, y + height + 22, width);
  }

  #marker(context) {
    const { rows, columns } = this.plane;
    const { x, y, width, height } = this.box;
    const [row, column] = this.cell;
    const [w, h2] = [Math.max(width / columns, 7), Math.max(height / rows, 7)];
    const left = x + ((column + 0.5) / columns) * width - w / 2;
    const top = y + ((row + 0.5) / rows) * height - h2 / 2;
    context.lineWidth = 3;
    context.strokeStyle = "#000";
    context.strokeRect(left, top, w, h2);
    context.lineWidth = 1.5;
    context.strokeStyle = document.activeElement === this.canvas ? "#ffd400" : "#fff";
    context.strokeRect(left, top, w, h2);
    context.lineWidth = 1;
  }

  #point(event, then) {
    if (!this.plane) return;
    const bounds = this.canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - bounds.left - this.box.x) / this.box.width) * this.plane.columns);
    const row = Math.floor(((event.clientY - bounds.top - this.box.y) / this.box.height) * this.plane.rows);
    if (row < 0 || column < 0 || row >= this.plane.rows || column >= this.plane.columns) return;
    if (then === this.onPick) this.#move(row, column);
    then([row, column]);
  }

  #key(event) {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (!this.plane) return;
    if (event.key === "Enter" || event.key === " ") this.onPick(this.cell);
    else if (event.key in steps) {
      const far = event.shiftKey ? 10 : 1;
      const [down, right] = steps[event.key];
      this.#move(clamp(this.cell[0] + far * down, this.plane.rows), clamp(this.cell[1] + far * right, this.plane.columns));
      this.onHover(this.cell);
    } else return;
    event.preventDefault();
  }

  #move(row, column) {
    this.cell = [row, column];
    this.draw();
  }
}

function clamp(index, count) {
  return Math.min(Math.max(index, 0), count - 1);
}

function short(label) {
  return label.length > 16 ? `${label.slice(0, 15)}…` : label;
}

function paint({ values, rows, columns, range, scale }) {
  const picture = new OffscreenCanvas(columns, rows);
  const context = picture.getContext("2d");
  const image = context.createImageData(columns, rows);
  const colors = colorTable(scale);
  const [low, high] = range;
  const factor = high > low ? 255 / (high - low) : 0;
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) continue; // transparent: the hatching shows through
    const color = 3 * Math.round(Math.min(255, Math.max(0, factor ? (values[i] - low) * factor : 128)));
    image.data.set([colors[color], colors[color + 1], colors[color + 2], 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
  return picture;
}

/** Draw the legend of a colour scale. */
export function drawLegend(canvas, { range, scale }, units) {
  const { context, width } = sharpContext(canvas, 40);
  const colors = colorTable(scale);
  const [x, wide] = [30, width - 60];
  for (let i = 0; i < wide; i++) {
    const color = 3 * Math.round((i / (wide - 1)) * 255);
    context.fillStyle = `rgb(${colors[color]},${colors[color + 1]},${colors[color + 2]})`;
    context.fillRect(x + i, 4, 1.5, 14);
  }
  context.fillStyle = themeColor("text");
  context.textAlign = "center";
  context.textBaseline = "top";
  const [low, high] = range;
  for (const tick of tickValues(low, high, Math.max(2, Math.floor(wide / 80)))) {
    const at = high > low ? x + ((tick - low) / (high - low)) * wide : x + wide / 2;
    context.fillRect(at - 0.5, 18, 1, 4);
    context.fillText(number(tick), at, 24);
  }
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillText(units.trim(), x + wide + 6, 11, width - x - wide - 6);
  canvas.setAttribute("aria-label", `colour scale from ${number(low)} to ${number(high)}${units}`);
}
