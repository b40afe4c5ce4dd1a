import { SCALES } from "./colors.js";
import { h } from "./dom.js";
import { number } from "./format.js";

let identifiers = 0;

function labelled(text, input, output) {
  input.id = `control-${identifiers++}`;
  return h("div", { className: output ? "control wide" : "control" }, h("span", {}, h("label", { for: input.id }, text), output), input);
}

/** A slider along one axis, with the coordinate's label. */
export function axisSlider(variable, axis, index, onChange) {
  const output = h("output", {}, variable.labelAt(axis, index));
  const input = h("input", { type: "range", min: 0, max: variable.shape[axis] - 1, step: 1, value: index, "data-axis": variable.dimensions[axis] });
  input.setAttribute("aria-valuetext", variable.labelAt(axis, index));
  input.addEventListener("input", () => {
    output.textContent = variable.labelAt(axis, input.valueAsNumber);
    input.setAttribute("aria-valuetext", output.textContent);
    onChange(input.valueAsNumber);
  });
  return labelled(variable.dimensions[axis], input, output);
}

/** A choice. */
export function choice(text, options, value, onChange, disabled = false) {
  const select = h("select", { disabled }, ...options.map(([key, label]) => h("option", { value: key, selected: String(key) === String(value) }, label)));
  select.addEventListener("change", () => onChange(select.value));
  return labelled(text, select);
}

export function scaleChoice(value, onChange) {
  return choice("Colours", SCALES.map((name) => [name, name]), value, onChange);
}

/** Bounds of the colour scale, and a button that fits them to the slice. */
export function rangeControl([low, high], onChange, onFit) {
  const field = (value, name) => h("input", { type: "text", inputMode: "decimal", value: number(value), "aria-label": `${name} end of the colour scale` });
  const [from, to] = [field(low, "lower"), field(high, "upper")];
  const change = () => {
    const range = [Number(from.value), Number(to.value)];
    if (range.every(Number.isFinite)) onChange(range);
  };
  from.addEventListener("change", change);
  to.addEventListener("change", change);
  const fit = h("button", { type: "button", className: "quiet", onclick: onFit }, "Fit");
  return h("div", { className: "control wide" }, h("span", {}, "Range"), h("div", { className: "pair" }, from, to, fit));
}
