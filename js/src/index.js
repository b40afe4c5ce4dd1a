/**
 * Virtual Zarr hierarchies (chunk manifests and virtual concatenations) as plain Zarr, for zarrita.
 */
import { registerCodecs } from "./codecs/register.js";

registerCodecs();

export { registerFilter, registerLayout } from "./codecs/layouts.js";
export { openVirtual } from "./open.js";
export { VirtualStore } from "./store.js";
export { DecodeError, FormatError, SourceError, StoreChangedError, UnsupportedError, VirtualZarrError } from "./errors.js";
