import { plural } from "./format.js";

// An image with more rows or columns than this shows every n-th.
const LARGEST = 1600;

/** Which axes are rows and columns: latitude and longitude if they are known, else the last two. */
export function planeAxes({ coordinates, dimensions, shape }) {
  if (shape.length < 2) return [undefined, shape.length - 1];
  const find = (pattern) => dimensions.findIndex((name, axis) => shape[axis] > 1 && pattern.test(name));
  const [lat, lon] = [find(/^(lat|latitude|y|yc|nav_lat|projection_y)/i), find(/^(lon|longitude|x|xc|nav_lon|projection_x)/i)];
  if (lat >= 0 && lon >= 0) return [lat, lon];
  const long = shape.map((n, axis) => axis).filter((axis) => shape[axis] > 1 && !coordinates[axis]?.isTime);
  return long.length >= 2 ? long.slice(-2) : [shape.length - 2, shape.length - 1];
}

/** The axis a click draws a series along: time, else the longest of those that the image does not show. */
export function seriesAxis({ coordinates, dimensions, shape }, [row, column]) {
  const others = shape.map((_, axis) => axis).filter((axis) => axis !== row && axis !== column && shape[axis] > 1);
  return others.find((axis) => coordinates[axis]?.isTime || /^time/i.test(dimensions[axis])) ?? others.sort((a, b) => shape[b] - shape[a])[0];
}

/** A cut through a variable: which rows and columns, and how to find values in it. */
export class Plane {
  constructor(variable, [rowAxis, columnAxis], indices) {
    Object.assign(this, { variable, rowAxis, columnAxis, indices });
    const [tall, wide] = [variable.shape[rowAxis], variable.shape[columnAxis]];
    this.rowStep = Math.ceil(tall / LARGEST);
    this.columnStep = Math.ceil(wide / LARGEST);
    this.rows = Math.ceil(tall / this.rowStep);
    this.columns = Math.ceil(wide / this.columnStep);
    // North, and high values in general, belong at the top; rows without a coordinate count downwards as in a table.
    this.flipped = variable.coordinates[rowAxis]?.ascending ?? false;
  }

  get selection() {
    return this.variable.shape.map((extent, axis) => {
      if (axis === this.rowAxis) return [0, extent, this.rowStep];
      return axis === this.columnAxis ? [0, extent, this.columnStep] : this.indices[axis];
    });
  }

  /** Indices into the array, of an image's row and column. */
  cellIndices([row, column]) {
    const indices = [...this.indices];
    indices[this.rowAxis] = (this.flipped ? this.rows - 1 - row : row) * this.rowStep;
    indices[this.columnAxis] = column * this.columnStep;
    return indices;
  }

  async load(signal) {
    const { values, stride } = await this.variable.read(this.selection, signal);
    const [rowStride, columnStride] = this.rowAxis < this.columnAxis ? stride : [stride[1], stride[0]];
    this.values = new Float64Array(this.rows * this.columns);
    for (let row = 0; row < this.rows; row++) {
      const from = (this.flipped ? this.rows - 1 - row : row) * rowStride;
      for (let column = 0; column < this.columns; column++) this.values[row * this.columns + column] = values[from + column * columnStride];
    }
  }

  valueAt([row, column]) {
    return this.values[row * this.columns + column];
  }

  /** Labels of a cell's place: "lat 12.5°N, lon 3°E". */
  placeOf(cell) {
    const indices = this.cellIndices(cell);
    return [this.rowAxis, this.columnAxis].map((axis) => `${this.variable.dimensions[axis]} ${this.variable.labelAt(axis, indices[axis])}`).join(", ");
  }

  get note() {
    return this.rowStep > 1 || this.columnStep > 1 ? `every ${plural(Math.max(this.rowStep, this.columnStep), "cell")} shown` : "";
  }
}
