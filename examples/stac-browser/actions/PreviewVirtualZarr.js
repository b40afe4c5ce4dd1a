import AssetActionPlugin from "../AssetActionPlugin";
import { canPreview, previewUri } from "./virtual-asset.js";

/** Button "Preview virtual data" on virtual assets. */
export default class PreviewVirtualZarr extends AssetActionPlugin {
  get show() {
    return this.component.isBrowserProtocol && canPreview(this.asset);
  }

  get uri() {
    return previewUri(globalThis.VIRTUAL_ZARR_PREVIEW ?? "preview/preview.html", this.component.href);
  }

  get text() {
    return "Preview virtual data";
  }
}
