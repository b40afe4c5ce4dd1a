/** Stands in for the WebAssembly codecs, which the page replaces before they could be asked for. */
export default {
  fromConfig() {
    throw new Error("this page decodes Blosc, LZ4 and Zstandard in plain JavaScript");
  },
};
