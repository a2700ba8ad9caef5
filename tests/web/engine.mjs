// engine.mjs: the packed npm package in Chromium, on a toy model: tokens and bits as the native build's, every factoring, both
// wasm builds, lost devices, WebLLM's page. SOLO_BIN is the native program.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { browser, check, chromiumPath, finish, killGpuProcess, newPage, serve, source, unrun } from "./harness.mjs";

const tarball = process.env.SOLO_WEB_PACKAGE ?? join(source, "build/web/solo-engine.tgz");
if (!existsSync(tarball)) unrun(`no ${tarball} (tools/web.sh builds it)`);
chromiumPath();

const dir = mkdtempSync(join(tmpdir(), "solo-web-"));
const solo = (...args) => execFileSync(process.env.SOLO_BIN, args, {
  encoding: "utf8", stdio: ["ignore", "pipe", "ignore"],
  env: { ...process.env, VK_ICD_FILENAMES: "/usr/lib/chromium/vk_swiftshader_icd.json" },
});
solo("synth", "toy:32x2x1", join(dir, "toy.gguf"));
writeFileSync(join(dir, "page.gguf"), "<!doctype html><title>404</title>".repeat(40));
writeFileSync(join(dir, "cut.gguf"), readFileSync(join(dir, "toy.gguf")).subarray(0, 50000));
copyFileSync(join(source, "tests/web/webllm_page.html"), join(dir, "webllm.html"));

// As a developer would: from the tarball, into a project of one's own.
writeFileSync(join(dir, "package.json"), '{"name": "consumer", "private": true, "type": "module"}');
execFileSync("npm", ["install", "--silent", "--offline", "--no-audit", "--no-fund", tarball], { cwd: dir, stdio: "inherit" });
const pkg = join(dir, "node_modules/solo-engine");
check("the package has its types", existsSync(join(pkg, "lib/engine/index.d.ts")) && existsSync(join(pkg, "lib/api.d.ts")));
writeFileSync(join(dir, "use.ts"), `import { createEngine, type ChatCompletionChunk } from "solo-engine";
const engine = await createEngine({ model: "x.gguf" });
const chunks: AsyncIterable<ChatCompletionChunk> = await engine.chat.completions.create({ messages: [], stream: true });
export { chunks };`);
const types = (() => {
  try {
    execFileSync(join(source, "web/node_modules/.bin/tsc"), ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib",
      "es2022,dom", "use.ts"], { cwd: dir, encoding: "utf8" });
    return "";
  } catch (error) {
    return error.stdout;
  }
})();
check("a strict TypeScript project compiles against them", types === "", types);

const server = await serve({ "/pkg/": pkg, "/files/": dir }, { "/": "<!doctype html><title>engine</title>" });
const chromium = await browser();
const { page, errors } = await newPage(chromium, `${server.address}/`);
const PROMPT = "The lighthouse keeper found";
const native = JSON.parse(solo("run", join(dir, "toy.gguf"), "--factoring", "stages", "--temp", "1.5", "--seed", "12", "-p", PROMPT, "-n", "24",
  "--raw", "--json"));

/** Runs in the page, with the engine kept there between calls. */
const inPage = (call, args) => page.evaluate(call, args);

const first = await inPage(async ({ prompt }) => {
  const { createEngine } = await import("/pkg/lib/engine/index.js");
  const phases = new Set();
  const engine = await createEngine({ model: "/files/toy.gguf", plan: { factoring: "stages" }, initProgressCallback: (r) => phases.add(r.phase) });
  window.engine = engine;
  const ask = { prompt, temperature: 1.5, seed: 12, max_tokens: 24, ignore_eos: true, solo_ids: true };
  window.ask = ask;
  const answer = await engine.completions.create(ask);
  return { answer, phases: [...phases], bytes: await engine.memoryBytes(), device: await engine.deviceInfo() };
}, { prompt: PROMPT });
check("loading tells its phases", ["device", "head", "weights", "plan", "ready"].every((each) => first.phases.includes(each)), first.phases);
check("a software adapter is named as such", first.device.is_software, first.device);
check("24 tokens drawn at temperature 1.5 are the native build's", JSON.stringify(first.answer.solo_ids.slice(0, native.tokens.length)) ===
  JSON.stringify(native.tokens) && native.tokens.length > 4, { page: first.answer.solo_ids, native: native.tokens });
check("usage counts them", first.answer.usage.completion_tokens === 24 && first.answer.usage.prompt_tokens === native.prompt_tokens, first.answer.usage);

const bench = await inPage(async () => {
  const rows = [];
  const how = { tokens: 6, samples: 1, warmup: 0, positions: 4 };
  const result = await engine.bench({ ...how, onRow: (row) => rows.push(row.factoring) });
  // Hand-offs may give up on a machine whose cores are taken: such a row is measured once more.
  const again = result.rows.filter((row) => row.status === "fell-back").map((row) => row.factoring);
  const retried = again.length ? await engine.bench({ ...how, factorings: again }) : { rows: [] };
  return { rows: result.rows.map((row) => retried.rows.find((other) => other.factoring === row.factoring) ?? row), seen: rows };
});
console.log(bench.rows.map((row) => `${row.factoring} ${row.dispatches_per_token} ${row.status} ${row.ids_hash} ${row.logits_hash} ${row.note}`).join("\n"));
check("every factoring runs", bench.rows.length >= 8 && bench.rows.every((row) => row.status === "ok"), bench.rows.map((row) => [row.factoring, row.status, row.note]));
check("their logits are the same, bit for bit", new Set(bench.rows.map((row) => row.logits_hash)).size === 1);
check("their tokens are the same", new Set(bench.rows.map((row) => row.ids_hash)).size === 1);
check("single takes one dispatch a token", bench.rows.find((row) => row.factoring === "single")?.dispatches_per_token === 1);
check("a row is reported as soon as it is known", bench.seen.length >= bench.rows.length, bench.seen);

const stream = await inPage(async () => {
  const chunks = [];
  const answer = await engine.chat.completions.create({ messages: [{ role: "user", content: "Hi" }], stream: true, ignore_eos: true, max_tokens: 200 });
  for await (const chunk of answer) {
    chunks.push(chunk);
    if (chunks.length === 2) engine.interruptGenerate();
  }
  const left = await engine.completions.create({ ...ask, stream: true });
  for await (const _ of left) break; // a loop left early ends the answer
  const after = await engine.completions.create(ask);
  const stop = await engine.completions.create({ ...ask, stop: after.choices[0].text.slice(3, 6) });
  return { n: chunks.length, finish: chunks.at(-1).choices[0]?.finish_reason, after: after.solo_ids, text: after.choices[0].text, stop: stop.choices[0] };
});
check("interruptGenerate ends an answer", stream.finish === "abort" && stream.n < 200, stream);
check("an answer after it is as before", JSON.stringify(stream.after) === JSON.stringify(first.answer.solo_ids), stream);
check("a stop text ends an answer and is not in it", stream.stop.finish_reason === "stop" && !stream.stop.text.includes(stream.text.slice(3, 6)), stream);

const refused = await inPage(async () => {
  const { createEngine } = await import("/pkg/lib/engine/index.js");
  const why = async (call) => call().then(() => "nothing", (error) => `${error.status}: ${error.message}`);
  const out = {
    tools: await why(() => engine.chat.completions.create({ messages: [{ role: "user", content: "x" }], tools: [{}] })),
    factoring: await why(() => engine.setPlan({ factoring: "triple" })),
    kept: (await engine.completions.create(ask)).solo_ids,
  };
  const other = await createEngine({});
  for (const name of ["page.gguf", "cut.gguf", "none.gguf"]) out[name] = await why(() => other.reload(`/files/${name}`));
  out.id = await why(() => other.reload("Llama-3-8B"));
  out.empty = await why(() => other.completions.create(ask));
  const inspected = await other.inspect("/files/toy.gguf");
  other.terminate();
  return { ...out, inspected };
});
check("tools are refused by name", /^UNSUPPORTED: tools: /.test(refused.tools), refused.tools);
check("an unknown factoring is refused and the plan before it kept", /triple/.test(refused.factoring) &&
  JSON.stringify(refused.kept) === JSON.stringify(first.answer.solo_ids), refused);
check("HTML in place of a model is said", /FILE_FORMAT: page.gguf: not a GGUF file/.test(refused["page.gguf"]), refused["page.gguf"]);
check("a cut file is said", /FILE_FORMAT: cut.gguf: /.test(refused["cut.gguf"]), refused["cut.gguf"]);
check("a missing file is said", /404/.test(refused["none.gguf"]), refused["none.gguf"]);
check("an unknown id is said", /ARGUMENT: model: wanted/.test(refused.id), refused.id);
check("no model is said", /ARGUMENT: wanted a loaded model/.test(refused.empty), refused.empty);
check("inspect reads the head and measures", refused.inspected.fits && refused.inspected.weight_bytes > 0 && refused.inspected.model.n_layer === 2, refused.inspected);

const destroyed = await inPage(async () => {
  let lost = "";
  engine.onDeviceLost = (message) => (lost = message);
  engine.loseDeviceForTest();
  await new Promise((resolve) => setTimeout(resolve, 200));
  return { lost, ids: (await engine.completions.create(ask)).solo_ids };
});
check("a destroyed device is told", destroyed.lost !== "", destroyed);
check("the next answer, on a new device, is as before", JSON.stringify(destroyed.ids) === JSON.stringify(first.answer.solo_ids), destroyed);

const during = inPage(async () => {
  let n = 0;
  try {
    for await (const _ of await engine.completions.create({ ...ask, max_tokens: 4000, stream: true })) window.written = ++n;
    return { n };
  } catch (error) {
    return { n, status: error.status, message: error.message };
  }
});
await page.waitForFunction(() => window.written > 2);
check("the GPU process was there to be ended", killGpuProcess() === 1);
const crashed = await during;
check("a device lost in the middle of an answer ends it with DEVICE_LOST", crashed.status === "DEVICE_LOST", crashed);
const recovered = await inPage(async () => (await engine.completions.create(ask)).solo_ids);
check("and the next answer is as before", JSON.stringify(recovered) === JSON.stringify(first.answer.solo_ids), recovered);
check("no errors in the console", errors.length === 0, errors);
await page.close();

{
  const { page: asyncify, errors: said } = await newPage(chromium, `${server.address}/`);
  const ids = await asyncify.evaluate(async ({ prompt }) => {
    const { createEngine } = await import("/pkg/lib/engine/index.js");
    const engine = await createEngine({ build: "asyncify", model: "/files/toy.gguf", plan: { factoring: "stages" } });
    const answer = await engine.completions.create({ prompt, temperature: 1.5, seed: 12, max_tokens: 24, ignore_eos: true, solo_ids: true });
    return answer.solo_ids;
  }, { prompt: PROMPT });
  check("the asyncify build draws the same tokens", JSON.stringify(ids) === JSON.stringify(first.answer.solo_ids), ids);
  check("and says nothing in the console", said.length === 0, said);
  await asyncify.close();
}
{
  const { page: webllm, errors: said } = await newPage(chromium, `${server.address}/files/webllm.html`);
  await webllm.waitForFunction(() => window.result?.done || window.result?.error, null, { timeout: 120000 });
  const result = await webllm.evaluate(() => window.result);
  check("a page written for WebLLM runs", result.done === true, result);
  check("its progress ends at 1", result.progress?.at(-1) === 1, result.progress);
  check("its stream and its whole answer are the same", result.text === result.again && result.text === result.message && result.text !== "", result);
  check("its usage comes last", result.usage?.completion_tokens === 6 && result.usage.extra.decode_tokens_per_s > 0, result.usage);
  check("its statistics are text", /prefill: .* decoding: /.test(result.stats), result.stats);
  check("no errors in its console", said.length === 0, said);
}
await chromium.close();
server.close();
rmSync(dir, { recursive: true });
finish();
