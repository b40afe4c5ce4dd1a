import { register } from "node:module";

/** What an action needs of STAC Browser's `AssetActionPlugin`. */
const stub = "export default class { constructor(asset, component) { this.asset = asset; this.component = component; } }";

const hooks = `
  export async function resolve(specifier, context, next) {
    if (specifier === "../AssetActionPlugin") {
      return { url: "data:text/javascript,${encodeURIComponent(stub)}", shortCircuit: true };
    }
    return next(specifier, context);
  }`;

/**
 * Load the action as STAC Browser does, outside of STAC Browser.
 *
 * @returns {Promise<new (asset: object, component: object) => {show: boolean, uri: string, text: string}>}
 */
export async function loadAction() {
  register(`data:text/javascript,${encodeURIComponent(hooks)}`);
  return (await import("../actions/PreviewVirtualZarr.js")).default;
}
