/**
 * Range requests that arrive together and lie close together become one request.
 */

// A gap of this size costs less to transfer than another request costs to send [bytes].
const GAP = 32 * 1024;
// Longer requests would delay the first chunk without saving round trips worth mentioning [bytes].
const SPAN = 8 * 1024 * 1024;

/** @import { Source } from "./sources.js" */
/** @import { Signal } from "./types.js" */

/**
 * One reader of a range.
 *
 * @typedef {object} Waiting
 * @property {number} offset [bytes]
 * @property {number} length [bytes]
 * @property {Signal} signal
 * @property {Source} source
 * @property {(bytes: Uint8Array) => void} resolve
 * @property {(reason: unknown) => void} reject
 */

/** @typedef {{start: number, stop: number, members: Waiting[]}} Group one request for several readers */

export class RangeBatcher {
  /** @type {Map<string, Waiting[]>} */
  #pending = new Map();

  /**
   * @param {(url: string, offset: number, length: number, signal: AbortSignal, source: Source) => Promise<Uint8Array>} fetchRange
   */
  constructor(fetchRange) {
    this.fetchRange = fetchRange;
  }

  /**
   * @param {string} url
   * @param {number} offset [bytes]
   * @param {number} length [bytes]
   * @param {Signal} signal
   * @param {Source} source
   * @returns {Promise<Uint8Array>} the bytes asked for, in a buffer of their own
   */
  read(url, offset, length, signal, source) {
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const waiting = { offset, length, signal, source, resolve, reject };
      const queue = this.#pending.get(url);
      if (queue) queue.push(waiting);
      else {
        this.#pending.set(url, [waiting]);
        setTimeout(() => this.#flush(url), 0);
      }
    });
  }

  /** @param {string} url */
  #flush(url) {
    const queue = (this.#pending.get(url) ?? []).filter(({ signal, reject }) => {
      if (signal?.aborted) reject(signal.reason);
      return !signal?.aborted;
    });
    this.#pending.delete(url);
    for (const group of grouped(queue)) this.#send(url, group);
  }

  /**
   * @param {string} url
   * @param {Group} group
   */
  async #send(url, group) {
    const { start, stop, members } = group;
    const controller = new AbortController();
    let waiting = members.length;
    const forget = members.map((member) => onAbort(member, () => --waiting || controller.abort(member.signal?.reason)));
    try {
      const bytes = await this.fetchRange(url, start, stop - start, controller.signal, members[0].source);
      // Copies, where there are several: a cached chunk must not keep its neighbours' bytes alive.
      const part = members.length > 1 ? "slice" : "subarray";
      for (const { offset, length, resolve } of members) resolve(bytes[part](offset - start, offset - start + length));
    } catch (error) {
      for (const { reject } of members) reject(error);
    } finally {
      for (const undo of forget) undo();
    }
  }
}

/**
 * @param {Waiting} waiting
 * @param {() => void} then
 */
function onAbort({ signal, reject }, then) {
  if (!signal) return () => {};
  const abort = () => {
    reject(signal.reason);
    then();
  };
  signal.addEventListener("abort", abort, { once: true });
  return () => signal.removeEventListener("abort", abort);
}

/**
 * @param {Waiting[]} queue
 * @returns {Group[]}
 */
function grouped(queue) {
  /** @type {Group[]} */
  const groups = [];
  for (const member of queue.sort((a, b) => a.offset - b.offset)) {
    const last = groups.at(-1);
    const stop = member.offset + member.length;
    if (last && member.offset - last.stop <= GAP && stop - last.start <= SPAN) {
      last.members.push(member);
      last.stop = Math.max(last.stop, stop);
    } else groups.push({ start: member.offset, stop, members: [member] });
  }
  return groups;
}
