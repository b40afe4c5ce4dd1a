import { Chart } from "./chart.js";
import { shortUnits } from "./cf.js";
import { robustRange } from "./colors.js";
import { axisSlider, choice, rangeControl, scaleChoice } from "./controls.js";
import { byId, fill, h } from "./dom.js";
import { number, plural } from "./format.js";
import { drawLegend, ImageView } from "./image.js";
import { Plane, planeAxes, seriesAxis } from "./plane.js";

// Reading more chunks than this for one picture is asked about first.
const MANY_CHUNKS = 400;

/** One variable: an image with sliders, or a line, or a value; and a series on click. */
export class VariableView {
  constructor(status, fail) {
    this.status = status;
    this.fail = fail;
    this.onMove = () => {};
    this.image = new ImageView(byId("stage"), {
      onHover: (cell) => this.#read(cell),
      onPick: (cell) => {
        this.#read(cell);
        this.#showSeries(cell).catch((error) => this.fail(error));
      },
    });
    this.line = new Chart(byId("stage"), (index) => this.#readLine(index));
    this.other = h("div", { className: "text-values" });
    byId("stage").append(this.other);
    this.series = new Chart(byId("series-stage"), (index) => this.#readSeries(index));
    this.indices = [];
    this.only(undefined);
  }

  /** Show one of image, line and text. */
  only(shown) {
    for (const view of [this.image, this.line]) view.canvas.hidden = view !== shown;
    this.other.hidden = this.other !== shown;
    byId("legend").hidden = shown !== this.image;
    this.shown = shown;
  }

  clear(path) {
    this.variable = undefined;
    this.plane = undefined;
    this.range = undefined;
    this.seriesValues = undefined;
    byId("series").hidden = true;
    byId("view-title").textContent = path;
    fill(byId("view-facts"));
    fill(byId("controls"));
    fill(byId("readout"));
    this.only(undefined);
  }

  async show(variable, signal) {
    this.variable = variable;
    this.signal = signal;
    this.units = shortUnits(variable.attributes.units);
    this.axes = planeAxes(variable);
    // The middle of other axes is not more telling than their start, and may be far away in time.
    this.indices = variable.shape.map(() => 0);
    this.scale = /anomal|difference|trend/i.test(variable.title) ? "diverging" : "viridis";
    const facts = [variable.name !== variable.title && variable.name, variable.array.dtype, variable.shape.length && variable.dimensions.map((name, i) => `${name} ${variable.shape[i]}`).join(" × ")];
    byId("view-title").textContent = `${variable.title}${this.units ? ` [${this.units.trim()}]` : ""}`;
    byId("view-facts").textContent = facts.filter(Boolean).join(" · ");
    if (!variable.numeric) return this.#showText();
    if (variable.shape.includes(0)) return this.#say("This variable has no elements.");
    if (variable.shape.length === 0) return this.#showScalar();
    if (variable.shape.length === 1) return this.#showLine();
    this.#controls();
    return this.load();
  }

  #controls() {
    const { variable, axes } = this;
    const names = variable.dimensions.map((name, axis) => [axis, name]);
    const pick = (place) => (value) => {
      const old = this.axes[place];
      if (this.axes[1 - place] === Number(value)) this.axes[1 - place] = old;
      this.axes[place] = Number(value);
      this.range = undefined;
      this.#controls();
      this.load();
    };
    const sliders = variable.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis) && variable.shape[axis] > 1);
    fill(
      byId("controls"),
      ...sliders.map((axis) => axisSlider(variable, axis, this.indices[axis], (index) => this.#slide(axis, index))),
      ...(variable.shape.length > 2 ? [choice("Rows", names, axes[0], pick(0)), choice("Columns", names, axes[1], pick(1))] : []),
      scaleChoice(this.scale, (scale) => {
        this.scale = scale;
        this.#paint();
      }),
      this.range && rangeControl(this.range, (range) => this.#setRange(range), () => this.#setRange(robustRange(this.plane.values) ?? this.range)),
    );
  }

  #setRange(range) {
    this.range = range;
    this.#controls();
    this.#paint();
  }

  #slide(axis, index) {
    this.indices[axis] = index;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load().then(() => this.onMove()), 60);
  }

  /** Read and show the plane; a newer one replaces it. */
  async load(confirmed = false) {
    const plane = new Plane(this.variable, this.axes, [...this.indices]);
    const chunks = this.variable.chunkCount(plane.selection);
    if (chunks > MANY_CHUNKS && !confirmed) return this.#ask(chunks);
    this.loading?.abort();
    const loading = new AbortController();
    this.loading = loading;
    byId("stage").setAttribute("aria-busy", "true");
    document.body.dataset.state = "loading";
    this.status(`Reading ${plural(chunks, "chunk")} …`);
    try {
      await plane.load(AbortSignal.any([loading.signal, this.signal]));
      if (loading.signal.aborted) return;
      this.#arrived(plane);
    } catch (error) {
      if (!loading.signal.aborted && !this.signal.aborted) this.fail(error);
    } finally {
      if (this.loading === loading) byId("stage").removeAttribute("aria-busy");
    }
  }

  #arrived(plane) {
    this.plane = plane;
    const found = robustRange(plane.values);
    const first = !this.range;
    this.range ??= found;
    this.status(found ? plane.note : "This slice holds no values.");
    if (first) this.#controls();
    this.#paint();
    this.#read(this.image.cell);
    if (!byId("series").hidden && this.seriesValues) {
      // The chart marks what the image shows.
      this.series.go(this.indices[this.seriesIndex]);
    }
    if (byId("alert").hidden) document.body.dataset.state = "ready";
  }

  #ask(chunks) {
    this.only(this.other);
    fill(
      this.other,
      h("p", {}, `This slice lies in ${plural(chunks, "chunk")}, each of which must be read. `),
      h("button", { type: "button", onclick: () => this.load(true) }, "Read them all"),
    );
    this.status("");
    document.body.dataset.state = "ready";
  }

  #paint() {
    const { plane, variable, units } = this;
    if (!plane?.values) return;
    const label = (axis, index) => variable.shortLabelAt(axis, index);
    const indexOf = (row, column) => plane.cellIndices([row, column]);
    this.only(this.image);
    this.image.show({
      ...plane,
      range: this.range ?? [0, 1],
      scale: this.scale,
      rowName: variable.dimensions[plane.rowAxis],
      columnName: variable.dimensions[plane.columnAxis],
      rowLabels: (row) => label(plane.rowAxis, indexOf(row, 0)[plane.rowAxis]),
      columnLabels: (column) => label(plane.columnAxis, indexOf(0, column)[plane.columnAxis]),
    });
    this.image.canvas.setAttribute("aria-label", `${variable.title} as an image; arrow keys move through it, Enter draws a series`);
    drawLegend(byId("legend"), { range: this.range ?? [0, 1], scale: this.scale }, units);
  }

  #read(cell) {
    const value = this.plane.valueAt(cell);
    const hint = this.#seriesAxis() === undefined ? "" : " · click or Enter: series";
    fill(byId("readout"), h("strong", {}, this.#withUnits(value)), h("span", { className: "muted" }, `  at ${this.plane.placeOf(cell)}${hint}`));
  }

  #withUnits(value) {
    return Number.isNaN(value) ? "no value" : number(value) + this.units;
  }

  #seriesAxis() {
    return seriesAxis(this.variable, this.axes);
  }

  async #showSeries(cell) {
    const axis = this.#seriesAxis();
    if (axis === undefined) return;
    const { variable } = this;
    const place = this.plane.placeOf(cell);
    const selection = this.plane.cellIndices(cell).map((index, i) => (i === axis ? [0, variable.shape[axis], 1] : index));
    byId("series").hidden = false;
    byId("series-title").textContent = `Along ${variable.dimensions[axis]}, at ${place}`;
    byId("series-stage").setAttribute("aria-busy", "true");
    fill(byId("series-readout"), `Reading ${plural(variable.chunkCount(selection), "chunk")} …`);
    this.seriesLoading?.abort();
    const loading = (this.seriesLoading = new AbortController());
    try {
      const { values } = await variable.read(selection, AbortSignal.any([loading.signal, this.signal]));
      this.seriesValues = Array.from(values, (value) => (Number.isNaN(value) ? null : value));
      this.seriesIndex = axis;
      this.series.show({ values, labels: (index) => variable.shortLabelAt(axis, index), at: this.indices[axis] });
      this.series.canvas.setAttribute("aria-label", `${variable.title} along ${variable.dimensions[axis]}; arrow keys read it`);
      this.#readSeries(this.indices[axis]);
    } catch (error) {
      if (!loading.signal.aborted && !this.signal.aborted) throw error;
    } finally {
      if (this.seriesLoading === loading) byId("series-stage").removeAttribute("aria-busy");
    }
  }

  #readSeries(index) {
    const label = `  at ${this.variable.dimensions[this.seriesIndex]} ${this.variable.labelAt(this.seriesIndex, index)}`;
    fill(byId("series-readout"), h("strong", {}, this.#withUnits(this.seriesValues[index] ?? NaN)), h("span", { className: "muted" }, label));
  }

  async #showLine() {
    const { variable } = this;
    const selection = [[0, variable.shape[0], Math.ceil(variable.shape[0] / 20000)]];
    const { values } = await variable.read(selection, this.signal);
    this.lineStep = selection[0][2];
    this.lineValues = values;
    this.only(this.line);
    this.line.show({ values, labels: (index) => variable.shortLabelAt(0, index * this.lineStep) });
    this.line.canvas.setAttribute("aria-label", `${variable.title} as a line; arrow keys read it`);
    this.#readLine(0);
    this.status("");
  }

  #readLine(index) {
    const { variable } = this;
    // A time coordinate is read as dates, not as days since some year.
    const shown = variable.labels?.isTime ? variable.labels.label(this.lineValues[index]) : this.#withUnits(this.lineValues[index]);
    fill(byId("readout"), h("strong", {}, shown), h("span", { className: "muted" }, `  at ${variable.dimensions[0]} ${variable.labelAt(0, index * this.lineStep)}`));
  }

  async #showScalar() {
    const { values } = await this.variable.read([], this.signal);
    this.lineValues = values;
    this.#say(h("strong", {}, this.variable.labels?.isTime ? this.variable.labels.label(values[0]) : this.#withUnits(values[0])));
  }

  async #showText() {
    const texts = await this.variable.readText(200, this.signal);
    this.#say(texts.join("\n") || "no values");
  }

  #say(content) {
    fill(this.other, content);
    this.only(this.other);
    this.status("");
  }

  valueAt(row, column) {
    if (!this.plane) return this.lineValues?.[column ?? row];
    const { plane } = this;
    const at = [plane.flipped ? plane.rows - 1 - row / plane.rowStep : row / plane.rowStep, column / plane.columnStep];
    const value = plane.valueAt(at);
    return Number.isNaN(value) ? null : value;
  }

  redraw() {
    if (this.shown === this.image) this.#paint();
    if (this.shown === this.line) this.line.draw();
    if (!byId("series").hidden && this.seriesValues) this.series.draw();
  }
}
