/** The JavaScript package as a reader under test: see README.md, "A reader". */
import { createInterface } from "node:readline";
import { openVirtual } from "../../js/src/index.js";
import { openArray, values } from "../../js/test/vectors.js";

const [url, allow] = process.argv.slice(2);
const store = await openVirtual(url, { allow: [allow] });

function messages(error) {
  return error ? [String(error.message ?? error), messages(error.cause)].filter(Boolean).join(" | ") : "";
}

for await (const path of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const array = await openArray(store, path.trim());
    answer = { dtype: array.dtype, ...(await values(array)) };
  } catch (error) {
    answer = { error: messages(error) };
  }
  console.log(JSON.stringify(answer));
}
