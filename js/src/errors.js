/**
 * The errors of this module. A message names the array or source, what was found, what was expected, and the way out.
 */

/** @import { Coords, Signal } from "./types.js" */

export class VirtualZarrError extends Error {
  /**
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The hierarchy is not what the format allows, or breaks a promise it makes. */
export class FormatError extends VirtualZarrError {}

/** The hierarchy is sound, but asks for something this reader does not have. */
export class UnsupportedError extends VirtualZarrError {}

/** Bytes that a manifest lists cannot be had: absent, short, changed since the scan, or served without ranges. */
export class SourceError extends VirtualZarrError {}

/** The hierarchy was written again since it was opened, and what it held then is gone. */
export class StoreChangedError extends VirtualZarrError {}

/** Bytes came, but do not decode to the chunk they should be. */
export class DecodeError extends VirtualZarrError {}

/**
 * True for the error that an aborted `AbortSignal` causes; it must pass through unwrapped.
 *
 * @param {any} error
 * @param {Signal} [signal]
 */
export function isAbort(error, signal) {
  return error?.name === "AbortError" || (signal?.aborted && error === signal.reason);
}

/**
 * Put the array and chunk before an error's message, keeping its class.
 *
 * @param {any} error
 * @param {string} name
 * @param {Coords} coords
 * @param {Signal} signal
 */
export function located(error, name, coords, signal) {
  const place = `${name}: chunk ${coords.join(".") || "0"}: `;
  if (isAbort(error, signal) || error.message.startsWith(place)) return error;
  const Kind = error instanceof VirtualZarrError ? /** @type {typeof VirtualZarrError} */ (error.constructor) : VirtualZarrError;
  return new Kind(place + error.message, { cause: error });
}
