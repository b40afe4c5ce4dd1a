/** Media types of Zarr stores, for virtual assets whose catalog does not say how the manifest is written. */
const ZARR = /^application\/vnd[.+]zarr/;

/** Formats that the preview page opens. */
const PREVIEWED = ["vzarr"];

/**
 * Tell whether the preview page can open an asset.
 *
 * The manifest format decides; only where it is missing, the roles and the media type do.
 *
 * @param {{type?: string, roles?: string[]}} asset
 * @returns {boolean}
 */
export function canPreview(asset) {
  const format = asset["vzarr:manifest_format"];
  if (typeof format === "string") {
    return PREVIEWED.includes(format);
  }
  const roles = Array.isArray(asset.roles) ? asset.roles : [];
  return roles.includes("virtual") && ZARR.test(asset.type ?? "") && !asset.type.includes("icechunk");
}

/**
 * Build the address of the preview of a store.
 *
 * @param {string} page the preview page
 * @param {string} store absolute URL of the store
 * @returns {string}
 */
export function previewUri(page, store) {
  const separator = page.includes("?") ? "&" : "?";
  return `${page}${separator}${new URLSearchParams({ store })}`;
}
