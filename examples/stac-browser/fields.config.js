import StacFields from "@radiantearth/stac-fields";

const { Registry } = StacFields;

export const FORMATS = {
  vzarr: "Virtual Zarr",
  "kerchunk-json": "Kerchunk (JSON)",
  "kerchunk-parquet": "Kerchunk (Parquet)",
  icechunk: "Icechunk",
};

Registry.addExtension("vzarr", {
  label: "Virtual Zarr",
  explain: "Refers to chunks in archive files; copies no data",
});

Registry.addMetadataFields({
  "vzarr:manifest_format": { label: "Manifest Format", mapping: FORMATS },
  "vzarr:manifest_version": "Manifest Version",
  "vzarr:group": "Group",
  "vzarr:concat_dims": { label: "Joined Along", explain: "Dimensions along which files were joined" },
  "vzarr:chunk_count": { label: "Chunks", summary: "r" },
  "vzarr:source_count": { label: "Source Files", summary: "r" },
  "vzarr:sources": {
    label: "Source Places",
    summary: false,
    items: {
      href: { label: "URL", format: "Url", order: 0, id: true },
      type: { label: "Format", format: "MediaType", order: 1 },
      count: { label: "Files", sortable: true, order: 2 },
      size: { label: "Size", format: "FileSize", sortable: true, order: 3 },
      "storage:refs": { label: "Storage", order: 4 },
    },
  },
  "vzarr:fingerprint": { label: "Fingerprint", summary: false },
});

// STAC Browser hides the shape and chunks of cube:variables by itself; nothing of ours is hidden.
export const ignoreMetadata = null;
