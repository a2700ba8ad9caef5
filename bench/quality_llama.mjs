// quality_llama.mjs FOLDER MODEL WINDOW < IDS: what llama.cpp (npm node-llama-cpp in FOLDER/node_modules, on the CPU) gives
// each id of a JSON array after those before it, in windows as `solo perplexity` has them. Prints {"nll", "n_scored"}.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const [folder, model, window] = process.argv.slice(2);
const at = createRequire(pathToFileURL(join(folder, "x.js"))).resolve("node-llama-cpp");
const { getLlama } = await import(pathToFileURL(at));

const ids = JSON.parse(readFileSync(0, "utf8"));
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error" });
const loaded = await llama.loadModel({ modelPath: model });
const context = await loaded.createContext({ contextSize: Number(window), batchSize: Number(window) });
const sequence = context.getSequence();
let nll = 0;
let scored = 0;
for (let first = 0; first + 1 < ids.length; first += Number(window)) {
  const part = ids.slice(first, first + Number(window));
  await sequence.clearHistory();
  const input = part.map((id) => [id, { generateNext: { probabilities: true, options: { temperature: 1, topK: 0, topP: 1, minP: 0 } } }]);
  const output = await sequence.controlledEvaluate(input.slice(0, -1));
  output.forEach((each, i) => {
    nll -= Math.log(each.next.probabilities.get(part[i + 1]));
    scored += 1;
  });
}
console.log(JSON.stringify({ nll, n_scored: scored }));
process.exit(0);
