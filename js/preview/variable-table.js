import { h } from "./dom.js";

/** The variables of a store as a table of buttons. */
export function variableTable(variables, current, onChoose) {
  const rows = variables.map((node) => {
    const { path, metadata, reason } = node;
    const title = metadata.attributes?.long_name ?? metadata.attributes?.standard_name;
    const dimensions = metadata.shape.map((extent, i) => `${metadata.dimension_names?.[i] ?? `axis ${i}`} ${extent}`).join(" × ");
    const button = h(
      "button",
      { type: "button", className: reason ? "bad" : "", "aria-current": String(path === current), "data-path": path, onclick: () => onChoose(path) },
      path.replace(/^\//, "") || "/",
      title ? h("small", {}, title) : null,
      h("small", {}, reason ? "cannot be read here" : `${typeName(metadata.data_type)} ${dimensions ? `· ${dimensions}` : "· one value"}`),
    );
    return h("tr", {}, h("td", {}, button));
  });
  return h("table", {}, h("caption", {}, variables.length ? "Variables" : "The store lists no variables"), h("tbody", {}, ...rows));
}

function typeName(type) {
  return typeof type === "string" ? type : (type?.name ?? "unknown type");
}

// Keeps the number types of other attributes for Python; no one wrote it to be read.
const TYPES = "_vzarr_types";

/** Attributes as a table. */
export function attributeTable(groups) {
  const rows = groups.flatMap(([what, attributes]) => [
    h("tr", {}, h("th", { scope: "rowgroup", colspan: "2" }, what)),
    ...Object.entries(attributes).filter(([name]) => name !== TYPES).map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, asText(value)))),
    ...(Object.keys(attributes).length ? [] : [h("tr", {}, h("td", { colspan: "2" }, "none"))]),
  ]);
  return h("div", { className: "scroll" }, h("table", { className: "list" }, h("tbody", {}, ...rows)));
}

function asText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
