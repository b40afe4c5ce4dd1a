import { BytesView } from "./bytes-view.js";
import { shortUnits } from "./cf.js";
import { Dataset } from "./data.js";
import { byId, fill, h } from "./dom.js";
import { RequestLog } from "./request-log.js";
import { attributeTable, variableTable } from "./variable-table.js";
import { VariableView } from "./variable-view.js";

/** The page: opens the store that the address names, lists its variables, shows one. */
class Page {
  constructor() {
    this.log = new RequestLog();
    this.view = new VariableView((text) => this.status(text), (error) => this.fail(error));
    this.bytesView = new BytesView(byId("bytes-body"));
    byId("open").addEventListener("submit", (event) => {
      event.preventDefault();
      this.open(byId("store").value.trim());
    });
    byId("bytes").addEventListener("toggle", () => this.showBytes());
    this.view.onMove = () => this.showBytes();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    new ResizeObserver(() => requestAnimationFrame(() => this.redraw())).observe(byId("content"));
  }

  status(text) {
    byId("status").textContent = text;
  }

  fail(error) {
    if (error?.name === "AbortError") return;
    byId("alert").hidden = false;
    fill(byId("alert"), h("strong", {}, "This cannot be shown. "), chain(error));
    this.status("");
    this.settled();
  }

  settled() {
    document.body.dataset.state = byId("alert").hidden ? "ready" : "error";
  }

  begin(text) {
    byId("alert").hidden = true;
    document.body.dataset.state = "loading";
    this.status(text);
    this.controller?.abort();
    this.controller = new AbortController();
    return this.controller.signal;
  }

  async open(url, variable) {
    if (!url) return this.welcome();
    this.begin(`Opening ${url} …`);
    byId("store").value = url;
    byId("main").hidden = true;
    this.url = url;
    try {
      this.dataset = await Dataset.open(new URL(url, location.href), (record) => this.log.add(record));
    } catch (error) {
      return this.fail(error);
    }
    const { title, summary, institution } = this.dataset.attributes;
    byId("title").textContent = title ?? url.replace(/\/+$/, "").split("/").at(-1);
    byId("subtitle").textContent = [summary ?? institution].flat().filter(Boolean).join(" ").slice(0, 200);
    document.title = `${byId("title").textContent} · preview`;
    byId("main").hidden = false;
    await this.choose(variable ?? this.dataset.firstVariable());
  }

  welcome() {
    this.status("Give the address of a store (a folder that ends in .vzarr or .zarr), or open this page as preview.html?store=…&var=…");
    document.body.dataset.state = "empty";
  }

  async choose(path) {
    const { dataset } = this;
    path &&= path.replace(/^\/?/, "/");
    byId("variables").hidden = dataset.variables.length === 0;
    fill(byId("variables"), variableTable(dataset.variables, path, (other) => this.choose(other)));
    const chosen = byId("variables").querySelector("[aria-current=true]");
    // Only the list scrolls, not the page.
    const top = chosen && chosen.getBoundingClientRect().top - byId("variables").getBoundingClientRect().top;
    if (top > byId("variables").clientHeight - 60 || top < 0) byId("variables").scrollTop += top - 60;
    if (path === undefined) {
      byId("content").hidden = true;
      return this.fail(new Error("The store has no consolidated metadata that lists its variables; add &var=NAME to the address."));
    }
    byId("content").hidden = false;
    history.replaceState(null, "", `?${new URLSearchParams({ store: this.url, var: path.replace(/^\//, "") })}`);
    const signal = this.begin(`Reading ${path} …`);
    this.variable = undefined;
    this.view.clear(path);
    fill(byId("bytes-body"));
    fill(byId("attributes-body"));
    try {
      const variable = await dataset.variable(path, signal);
      this.variable = variable;
      fill(byId("attributes-body"), attributeTable([[variable.name, variable.attributes], ["the store", dataset.attributes]]));
      await this.view.show(variable, signal);
      await this.showBytes();
      this.settled();
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }

  async showBytes() {
    if (!byId("bytes").open || !this.variable) return;
    try {
      await this.bytesView.show(this.variable, this.view.indices, this.controller.signal);
    } catch (error) {
      this.fail(error);
    }
  }

  redraw() {
    this.view.redraw();
    this.bytesView.draw();
  }
}

function chain(error) {
  const cause = error.cause?.message;
  return cause && !error.message.includes(cause) ? `${error.message}: ${chain(error.cause)}` : error.message;
}

const page = new Page();
const query = new URLSearchParams(location.search);
page.open(query.get("store") ?? "", query.get("var") ?? undefined);

/** What tests ask: the values that the page shows. */
globalThis.__preview = {
  get state() {
    return document.body.dataset.state;
  },
  get variable() {
    return page.variable?.path;
  },
  /** Indices of the slice that is shown. */
  get indices() {
    return page.view.plane ? [...page.view.plane.indices] : [];
  },
  get series() {
    return page.view.seriesValues;
  },
  get requests() {
    return { count: page.log.count, bytes: page.log.bytes };
  },
  get cells() {
    return page.bytesView.cells?.map(({ chunk, pieces }) => ({ chunk, pieces }));
  },
  /** The image's place in its canvas, the bounds of its colours, and how many cells have no value. */
  get box() {
    return page.view.image.box;
  },
  get range() {
    return page.view.range;
  },
  get missing() {
    return page.view.plane?.values.filter(Number.isNaN).length;
  },
  /** The shown value at indices of the row and column axis, null where there is none. */
  value: (row, column) => page.view.valueAt(row, column),
  units: () => shortUnits(page.variable?.attributes.units),
};
