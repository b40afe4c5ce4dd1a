import { DecodeError } from "../errors.js";

/**
 * Undo the LZF filter of h5py (`hdf5.lzf`), LibLZF's format: a control byte below 32 starts a run of literals; else its high
 * bits hold a length and the rest a distance back.
 *
 * @param {Uint8Array} bytes
 */
export function unlzf(bytes) {
  const out = new Uint8Array(decodedLength(bytes));
  for (let at = 0, to = 0; at < bytes.length; ) {
    const control = bytes[at++];
    if (control < 32) {
      out.set(bytes.subarray(at, at + control + 1), to);
      at += control + 1;
      to += control + 1;
      continue;
    }
    let length = control >> 5;
    if (length === 7) length += bytes[at++];
    let from = to - ((control & 31) << 8) - bytes[at++] - 1;
    if (from < 0) throw new DecodeError("lzf: a reference points before the chunk; the chunk is corrupt");
    for (const stop = to + length + 2; to < stop; ) out[to++] = out[from++];
  }
  return out;
}

// The format does not state its decoded length: add up the runs first.
/** @param {Uint8Array} bytes */
function decodedLength(bytes) {
  let at = 0;
  let length = 0;
  while (at < bytes.length) {
    const control = bytes[at++];
    if (control < 32) {
      at += control + 1;
      length += control + 1;
    } else {
      length += (control >> 5) + 2;
      if (control >> 5 === 7) length += bytes[at++];
      at++;
    }
  }
  if (at !== bytes.length) throw new DecodeError("lzf: the chunk ends within a run; it is truncated");
  return length;
}
