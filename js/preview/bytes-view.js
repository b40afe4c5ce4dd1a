import { fileColor } from "./colors.js";
import { h, hatch, sharpContext, themeColor } from "./dom.js";
import { bytes, plural } from "./format.js";

// Cells of the chunk grid shown at once, per axis.
const MOST = 48;
const FILES_LISTED = 40;

/** The chunk grid of a variable, coloured by the file that each chunk lies in. */
export class BytesView {
  /** @param {HTMLElement} host */
  constructor(host) {
    this.host = host;
  }

  /** @param {any} variable @param {number[]} indices of the axes that are not shown */
  async show(variable, indices, signal) {
    const layout = await variable.describe(signal);
    const [rowAxis, columnAxis] = gridAxes(layout.gridShape);
    const rows = count(layout, rowAxis);
    const columns = count(layout, columnAxis);
    const cells = await Promise.all(
      Array.from({ length: rows * columns }, (_, i) => this.#cell(variable, layout, indices, [rowAxis, columnAxis], [Math.floor(i / columns), i % columns], signal)),
    );
    Object.assign(this, { variable, layout, rowAxis, columnAxis, rows, columns, cells, cell: [0, 0] });
    this.files = fileTable(cells);
    this.#render();
    this.draw();
  }

  async #cell(variable, { axes }, indices, [rowAxis, columnAxis], [row, column], signal) {
    const chunk = axes.map((axis, i) => (i === rowAxis ? row : i === columnAxis ? column : axis.find(indices[i])));
    const start = axes.map((axis, i) => axis.start(chunk[i]));
    const pieces = await variable.locate(start, axes.map((axis, i) => axis.visible(chunk[i])), signal);
    return { chunk, pieces };
  }

  #render() {
    const { variable, layout, rows, columns, rowAxis, columnAxis } = this;
    this.canvas = h("canvas", { tabindex: "0", role: "img", "aria-label": "chunk grid" });
    this.canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.detail = h("p", { className: "readout", "aria-live": "polite" }, "Point at a chunk, or use the arrow keys.");
    const shown = [rowAxis, columnAxis].filter((axis) => axis !== undefined).map((axis) => `${variable.dimensions[axis]} (${axis === rowAxis ? "down" : "across"})`);
    const partial = layout.gridShape.some((n, axis) => (axis === rowAxis && n > rows) || (axis === columnAxis && n > columns));
    const kinds = { plain: "Ordinary Zarr array", "chunk-manifest": "Chunk manifest", "virtual-concatenation": "Virtual concatenation" };
    this.host.replaceChildren(
      h("p", { className: "muted" }, `${kinds[layout.kind]}; chunk grid ${layout.gridShape.join(" × ") || "of one chunk"}. Shown: ${shown.join(" by ") || "the one chunk"}${partial ? `, the first ${rows} × ${columns}` : ""}.`),
      h("div", { className: "grid-stage" }, this.canvas),
      this.detail,
      h("div", { className: "scroll" }, fileList(this.files)),
    );
  }

  draw() {
    if (!this.cells || !this.canvas.isConnected) return;
    const { rows, columns } = this;
    const room = this.host.clientWidth;
    const size = Math.max(6, Math.min(34, Math.floor(room / columns), Math.floor(480 / rows)));
    const { context } = sharpContext(this.canvas, rows * size + 2);
    this.size = size;
    this.cells.forEach(({ pieces }, i) => this.#drawCell(context, pieces, (i % columns) * size + 1, Math.floor(i / columns) * size + 1, size - (size > 10 ? 2 : 1)));
    const [row, column] = this.cell;
    context.strokeStyle = themeColor("text");
    context.lineWidth = 2;
    context.strokeRect(column * size + 1, row * size + 1, size - 2, size - 2);
  }

  #drawCell(context, pieces, x, y, size) {
    const names = [...new Set(pieces.map(nameOf))];
    names.forEach((name, i) => {
      context.fillStyle = this.files.get(name).color ?? "transparent";
      const [from, to] = [Math.round((i / names.length) * size), Math.round(((i + 1) / names.length) * size)];
      context.fillRect(x + from, y, to - from, size);
      if (name === "") hatch(context, x + from, y, to - from, size, themeColor("muted"));
    });
  }

  #point(event) {
    const bounds = this.canvas.getBoundingClientRect();
    this.#go(Math.floor((event.clientY - bounds.top) / this.size), Math.floor((event.clientX - bounds.left) / this.size));
  }

  #key(event) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    this.#go(this.cell[0] + step[0], this.cell[1] + step[1]);
  }

  #go(row, column) {
    if (!(row >= 0 && column >= 0 && row < this.rows && column < this.columns)) return;
    this.cell = [row, column];
    this.draw();
    const { chunk, pieces } = this.cells[row * this.columns + column];
    const found = pieces.slice(0, 4).map(sentence).join("; ");
    this.detail.replaceChildren(h("strong", {}, `Chunk ${chunk.join(", ") || "0"}: `), `${found}${pieces.length > 4 ? `; and ${pieces.length - 4} more pieces` : ""}`);
  }
}

// The two axes with the most chunks, the longer one across.
function gridAxes(gridShape) {
  const [across, down] = gridShape.map((_, axis) => axis).sort((a, b) => gridShape[b] - gridShape[a] || b - a);
  return [down, across];
}

function count({ gridShape }, axis) {
  return axis === undefined ? 1 : Math.min(gridShape[axis], MOST);
}

function nameOf({ kind, url }) {
  return kind === "fill" ? "" : kind === "inline" ? "in the manifest itself" : kind === "key" ? "in the store" : url;
}

function fileTable(cells) {
  const files = new Map();
  for (const { pieces } of cells) {
    for (const piece of pieces) {
      const name = nameOf(piece);
      const file = files.get(name) ?? { color: name === "" ? undefined : fileColor([...files.keys()].filter(Boolean).length), chunks: 0, bytes: 0 };
      file.chunks++;
      file.bytes += piece.length ?? 0;
      files.set(name, file);
    }
  }
  return files;
}

function fileList(files) {
  const head = h("tr", {}, ...["File", "Chunks", "Bytes"].map((text, i) => h("th", { scope: "col", className: i ? "count" : "" }, text)));
  const listed = [...files].sort(([a], [b]) => (a === "") - (b === "") || a.localeCompare(b)).slice(0, FILES_LISTED).map(([name, file]) => {
    const swatch = h("span", { className: name ? "swatch" : "swatch hole" });
    if (file.color) swatch.style.background = file.color;
    const text = h("span", { title: name }, name ? name.replace(/^.*\/(?=[^/]+$)/, "") : "holes: no bytes stored, the fill value");
    return h("tr", {}, h("td", {}, swatch, text), h("td", { className: "count" }, file.chunks), h("td", { className: "count" }, bytes(file.bytes || undefined)));
  });
  const more = files.size > FILES_LISTED ? h("tr", {}, h("td", { colspan: "3" }, `and ${plural(files.size - FILES_LISTED, "more file")}`)) : null;
  return h("table", { className: "list" }, h("thead", {}, head), h("tbody", {}, ...listed, more));
}

function sentence({ kind, url, offset, length }) {
  if (kind === "fill") return "no bytes: the fill value";
  if (kind === "inline") return `${plural(length, "byte")} in the manifest itself`;
  if (kind === "key") return `key of the store ${url}`;
  return `${plural(length, "byte")} from ${offset.toLocaleString("en")} of ${url}`;
}
