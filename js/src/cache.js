/**
 * One load, under way or done.
 *
 * @template V
 * @typedef {{controller: AbortController, waiting: number, size: number, done: boolean, promise: Promise<V>}} Entry
 */

/**
 * A bounded least-recently-used cache of asynchronous loads.
 *
 * Several readers of one key share one load. A reader that aborts leaves the others alone; the load itself is aborted
 * when nobody waits for it any more. Failures are not kept.
 *
 * @template V
 */
export class LoadCache {
  /** @type {Map<string, Entry<V>>} */
  #entries = new Map();
  #size = 0;

  /**
   * @param {number} limit largest total size of the values kept [whatever `sizeOf` counts]
   * @param {(value: V) => number} [sizeOf]
   */
  constructor(limit, sizeOf = () => 1) {
    this.limit = limit;
    this.sizeOf = sizeOf;
  }

  /** Total size of the values kept. */
  get size() {
    return this.#size;
  }

  /**
   * @param {string} key
   * @param {AbortSignal | undefined} signal
   * @param {(signal: AbortSignal) => Promise<V>} load
   * @returns {Promise<V>}
   */
  load(key, signal, load) {
    signal?.throwIfAborted();
    const entry = this.#entries.get(key) ?? this.#start(key, load);
    this.#touch(key, entry);
    return this.#wait(key, entry, signal);
  }

  /**
   * @param {string} key
   * @param {(signal: AbortSignal) => Promise<V>} load
   * @returns {Entry<V>}
   */
  #start(key, load) {
    const controller = new AbortController();
    const promise = load(controller.signal).then(
      (value) => {
        entry.done = true;
        if (this.#entries.get(key) === entry) this.#keep(entry, value);
        return value;
      },
      (error) => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
        throw error;
      },
    );
    const entry = { controller, waiting: 0, size: 0, done: false, promise };
    return entry;
  }

  /**
   * @param {Entry<V>} entry
   * @param {V} value
   */
  #keep(entry, value) {
    entry.size = this.sizeOf(value);
    this.#size += entry.size;
    for (const [key, old] of this.#entries) {
      if (this.#size <= this.limit) break;
      if (!old.done) continue;
      this.#entries.delete(key);
      this.#size -= old.size;
    }
  }

  /**
   * @param {string} key
   * @param {Entry<V>} entry
   */
  #touch(key, entry) {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }

  /**
   * @param {string} key
   * @param {Entry<V>} entry
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<V>}
   */
  #wait(key, entry, signal) {
    entry.waiting++;
    if (!signal) return entry.promise;
    return new Promise((resolve, reject) => {
      const abort = () => {
        if (--entry.waiting === 0 && !entry.done) {
          if (this.#entries.get(key) === entry) this.#entries.delete(key);
          entry.controller.abort(signal.reason);
        }
        reject(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
      entry.promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    });
  }
}
