import { byId, h } from "./dom.js";
import { bytes, plural } from "./format.js";

const KEPT = 200;
const CLASSES = ["", "short", "short", "count"];

/** A log of requests, newest first, and their total. */
export class RequestLog {
  constructor() {
    this.count = 0;
    this.bytes = 0;
    this.rows = h("tbody");
    const head = h("tr", {}, ...["Address", "Range", "Status", "Bytes"].map((text, i) => h("th", { scope: "col", className: i === 3 ? "count" : "" }, text)));
    byId("requests-body").replaceChildren(h("div", { className: "scroll" }, h("table", { className: "list" }, h("thead", {}, head), this.rows)));
  }

  // Most requests go to one host, which need not be repeated.
  #short(url) {
    const { host, pathname } = new URL(url);
    this.host ??= host;
    return host === this.host ? pathname : `${host}${pathname}`;
  }

  /** @param {import("../src/http.js").RequestRecord} record */
  add({ url, range, status, bytes: received }) {
    this.count++;
    this.bytes += received;
    const asked = range ? `${range[0].toLocaleString("en")} + ${range[1].toLocaleString("en")}` : "whole";
    const row = [this.#short(url), asked, status || "no answer", bytes(received)];
    this.rows.prepend(h("tr", {}, ...row.map((text, i) => h("td", { className: CLASSES[i], title: i ? "" : url }, text))));
    if (this.rows.childElementCount > KEPT) this.rows.lastChild.remove();
    byId("requests-total").textContent = `${plural(this.count, "request")}, ${bytes(this.bytes)}`;
  }
}
