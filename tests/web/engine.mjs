/** The packed npm package in Chromium, on a toy model: tokens and bits as the native build's, every factoring, both wasm builds,
 *  lost devices, a worker that ends, WebLLM's page. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { check, close, killGpuProcess, makeFolder, run, solo, source, startBrowser, tarball, unrun } from "./harness.mjs";
import { startServer } from "./server.mjs";

const needed = [[tarball, "tools/web.sh builds it"], [solo, "make build"]];
const PROMPT = "The lighthouse keeper found";
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

describe("engine", { skip: unrun(needed), timeout: 1_200_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), "solo-web-"));
  const pkg = join(dir, "node_modules/solo-engine");
  let server, browser, page, native, first;
  /** Runs in the page, with the engine kept there between calls. */
  const inPage = (call, args) => page.evaluate(call, args);

  before(async () => {
    run("synth", "toy:32x2x1", join(dir, "toy.gguf"));
    writeFileSync(join(dir, "page.gguf"), "<!doctype html><title>404</title>".repeat(40));
    writeFileSync(join(dir, "cut.gguf"), readFileSync(join(dir, "toy.gguf")).subarray(0, 50000));
    // As a developer would: from the tarball, into a project of one's own.
    writeFileSync(join(dir, "package.json"), '{"name": "consumer", "private": true, "type": "module"}');
    execFileSync("npm", ["install", "--silent", "--offline", "--no-audit", "--no-fund", tarball], { cwd: dir, stdio: "inherit" });
    native = JSON.parse(run("run", join(dir, "toy.gguf"), "--factoring", "stages", "--temp", "1.5", "--seed", "12", "-p", PROMPT,
      "-n", "24", "--raw", "--json"));
    server = await startServer({ "/pkg/": pkg, "/files/": dir, "/pages/": join(source, "tests/web/pages") });
    server.files.set("/", { type: "text/html", bytes: Buffer.from("<!doctype html><title>engine</title>") });
    browser = await startBrowser();
    page = await browser.open(server.url("/"), { expected: [/404.*none\.gguf/] });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
    rmSync(dir, { recursive: true });
  });

  test("a strict TypeScript project compiles against its types", () => {
    check("they are there", existsSync(join(pkg, "lib/engine/index.d.ts")) && existsSync(join(pkg, "lib/api.d.ts")));
    writeFileSync(join(dir, "use.ts"), `import { createEngine, type ChatCompletionChunk } from "solo-engine";
const engine = await createEngine({ model: "x.gguf" });
const chunks: AsyncIterable<ChatCompletionChunk> = await engine.chat.completions.create({ messages: [], stream: true });
export { chunks };`);
    const strict = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom", "use.ts"];
    execFileSync(join(source, "web/node_modules/.bin/tsc"), strict, { cwd: dir, stdio: "inherit" });
  });

  test("it loads, tells its phases and draws the native build's tokens", async () => {
    first = await inPage(async (prompt) => {
      const { createEngine } = await import("/pkg/lib/engine/index.js");
      const phases = new Set();
      const engine = await createEngine({ model: "/files/toy.gguf", plan: { factoring: "stages" }, initProgressCallback: (r) => phases.add(r.phase) });
      window.engine = engine;
      window.ask = { prompt, temperature: 1.5, seed: 12, max_tokens: 24, ignore_eos: true, solo_ids: true };
      const answer = await engine.completions.create(window.ask);
      return { answer, phases: [...phases], bytes: await engine.memoryBytes(), device: await engine.deviceInfo() };
    }, PROMPT);
    check("loading tells its phases", ["device", "head", "weights", "plan", "ready"].every((each) => first.phases.includes(each)), first.phases);
    check("a software adapter is named as such", first.device.is_software, first.device);
    const ids = first.answer.solo_ids;
    check("24 tokens drawn at temperature 1.5 are the native build's", same(ids.slice(0, native.tokens.length), native.tokens) &&
      native.tokens.length > 4, { page: ids, native: native.tokens });
    check("usage counts them", first.answer.usage.completion_tokens === 24 && first.answer.usage.prompt_tokens === native.prompt_tokens,
      first.answer.usage);
  });

  test("every factoring runs, with the same bits", async () => {
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
    check("every factoring runs", bench.rows.length >= 8 && bench.rows.every((row) => row.status === "ok"),
      bench.rows.map((row) => [row.factoring, row.status, row.note]));
    check("their logits are the same, bit for bit", new Set(bench.rows.map((row) => row.logits_hash)).size === 1);
    check("their tokens are the same", new Set(bench.rows.map((row) => row.ids_hash)).size === 1);
    check("single takes one dispatch a token", bench.rows.find((row) => row.factoring === "single")?.dispatches_per_token === 1);
    check("a row is reported as soon as it is known", bench.seen.length >= bench.rows.length, bench.seen);
  });

  test("probe() measures the device and leaves the model alone", async () => {
    const { whole, quick, ids } = await inPage(async () => ({
      whole: await engine.probe(),
      quick: await engine.probe({ bandwidth: false, workgroup_size: 32 }),
      ids: (await engine.completions.create(ask)).solo_ids,
    }));
    check("bandwidth and costs", whole.read_bytes_s > 1e6 && whole.dispatch_us > 0 && whole.round_trip_us > whole.dispatch_us, whole);
    check("workgroups that run together", whole.n_resident >= 1 && whole.n_resident <= 1024, whole);
    const counts = whole.hand_off.map((each) => each.n_workgroup);
    check("hand-offs by rising number of workgroups", same(counts, [...counts].sort((a, b) => a - b)) &&
      whole.hand_off.every(({ n_workgroup, us }) => us > 0 && n_workgroup <= whole.n_resident), whole.hand_off);
    check("the device comes with it", whole.device.is_software && whole.device.name !== "", whole.device);
    check("what was not asked for is not measured", quick.read_bytes_s === 0 && quick.workgroup_size === 32 && quick.dispatch_us > 0, quick);
    check("an answer after it is as before", same(ids, first.answer.solo_ids), ids);
  });

  test('factoring "auto" runs the fastest of those it timed, and draws what that one draws', async () => {
    const { tuned, named, names, auto, plain } = await inPage(async () => {
      const tuned = await engine.setPlan({ factoring: "auto" });
      const auto = (await engine.completions.create(ask)).solo_ids;
      const { factoring, workgroup_size } = tuned;
      const named = await engine.setPlan({ factoring, workgroup_size });
      const plain = (await engine.completions.create(ask)).solo_ids;
      await engine.setPlan({ factoring: "stages", workgroup_size: undefined });
      return { tuned, named, names: await engine.factorings(), auto, plain };
    });
    console.log(`auto: ${tuned.factoring}, ${tuned.workgroup_size} threads`);
    check("it is one of the factorings", names.includes(tuned.factoring.replace(/:.*/, "")) && tuned.factoring !== "auto", { tuned, names });
    check("asked for by name it is the same plan", named.factoring === tuned.factoring && named.n_dispatch === tuned.n_dispatch, named);
    check("its tokens are that factoring's", auto.length === 24 && same(auto, plain), { auto, plain });
  });

  test("answers are interrupted, left and stopped", async () => {
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
    check("an answer after it is as before", same(stream.after, first.answer.solo_ids), stream);
    check("a stop text ends an answer and is not in it", stream.stop.finish_reason === "stop" && !stream.stop.text.includes(stream.text.slice(3, 6)), stream);
  });

  test("what cannot be is refused by name and with its status", async () => {
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
      out.cached = await why(() => other.reload({ cached: "0123" }));
      out.empty = await why(() => other.completions.create(ask));
      const inspected = await other.inspect("/files/toy.gguf");
      other.terminate();
      out.terminated = await why(() => other.deviceInfo());
      return { ...out, inspected };
    });
    check("tools are refused by name", /^UNSUPPORTED: tools: /.test(refused.tools), refused.tools);
    check("an unknown factoring is refused and the plan before it kept", /triple/.test(refused.factoring) &&
      same(refused.kept, first.answer.solo_ids), refused);
    check("HTML in place of a model is said", /FILE_FORMAT: page.gguf: not a GGUF file/.test(refused["page.gguf"]), refused["page.gguf"]);
    check("a cut file is said", /FILE_FORMAT: cut.gguf: /.test(refused["cut.gguf"]), refused["cut.gguf"]);
    check("a missing file is said", /^FILE_IO: none.gguf: .*404/.test(refused["none.gguf"]), refused["none.gguf"]);
    check("a cache that this build lacks is said", /^UNSUPPORTED: 0123: /.test(refused.cached), refused.cached);
    check("an unknown id is said", /ARGUMENT: model: wanted/.test(refused.id), refused.id);
    check("no model is said", /ARGUMENT: wanted a loaded model/.test(refused.empty), refused.empty);
    check("so is an engine that was terminated", /^ARGUMENT: the engine was terminated/.test(refused.terminated), refused.terminated);
    check("inspect reads the head and measures", refused.inspected.fits && refused.inspected.weight_bytes > 0 && refused.inspected.model.n_layer === 2,
      refused.inspected);
  });

  test("a lost device comes back with the next answer", async () => {
    const destroyed = await inPage(async () => {
      let lost = "";
      engine.onDeviceLost = (message) => (lost = message);
      engine.loseDeviceForTest();
      await new Promise((resolve) => setTimeout(resolve, 200));
      return { lost, ids: (await engine.completions.create(ask)).solo_ids };
    });
    check("a destroyed device is told", destroyed.lost !== "", destroyed);
    check("the next answer, on a new device, is as before", same(destroyed.ids, first.answer.solo_ids), destroyed);
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
    check("and the next answer is as before", same(recovered, first.answer.solo_ids), recovered);
  });

  test("a core that traps fails its call alone; a worker that ends is told", async () => {
    const worker = page.workers().at(-1);
    await worker.evaluate(() => {
      const submit = GPUQueue.prototype.submit;
      GPUQueue.prototype.submit = () => {
        GPUQueue.prototype.submit = submit;
        throw new WebAssembly.RuntimeError("unreachable");
      };
    });
    const trapped = await inPage(async () => {
      const why = await engine.completions.create(ask).then(() => "nothing", (error) => `${error.status}: ${error.message}`);
      return { why, ids: (await engine.completions.create(ask)).solo_ids };
    });
    check("a trap is a bug, and said", /^BUG: .*unreachable/.test(trapped.why), trapped.why);
    check("the next answer, of a new core, is as before", same(trapped.ids, first.answer.solo_ids), trapped);
    const ended = inPage(async () => {
      const stopped = new Promise((resolve) => (engine.onStopped = resolve));
      const why = await engine.completions.create({ ...ask, max_tokens: 4000 }).then(() => "nothing", (error) => `${error.status}: ${error.message}`);
      const after = await engine.deviceInfo().then(() => "nothing", (error) => error.message);
      return { why, after, told: await stopped };
    });
    await worker.evaluate(() => self.close()); // as a browser out of memory would: no event tells the page
    const found = await ended;
    check("whoever waits is told", /^BUG: the engine's worker was ended/.test(found.why), found);
    check("so is who asks later, and who listens", found.after === found.told && /was ended/.test(found.told), found);
    await close(page);
  });

  test("folders of Hugging Face's and MLC's, from an address and picked, draw the native build's tokens", async () => {
    run("synth", "toy:32x2x1", join(dir, "hf.gguf"), "--type", "f16", "--output-type", "f16");
    run("synth", "toy:32x2x1", join(dir, "mlc.gguf"), "--type", "q4_0", "--output-type", "q4_0");
    const tab = await browser.open(server.url("/"), { expected: [/404/] }); // files that a folder may lack
    for (const kind of ["hf", "mlc"]) {
      makeFolder(kind, join(dir, `${kind}.gguf`), join(dir, kind));
      const wanted = JSON.parse(run("run", join(dir, kind), "--factoring", "stages", "--temp", "1.5", "--seed", "12", "-p", PROMPT,
        "-n", "24", "--raw", "--json")).tokens;
      const found = await tab.evaluate(async ({ kind, prompt }) => {
        const { createEngine } = await import("/pkg/lib/engine/index.js");
        const engine = await createEngine({ model: `/files/${kind}/`, plan: { factoring: "stages" } });
        const ask = { prompt, temperature: 1.5, seed: 12, max_tokens: 24, ignore_eos: true, solo_ids: true };
        const ids = (await engine.completions.create(ask)).solo_ids;
        const parts = ["tokenizer.json", "tokenizer_config.json",
          ...(kind === "hf"
            ? ["config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
            : ["mlc-chat-config.json", "ndarray-cache.json", "params_shard_0.bin", "params_shard_1.bin", "params_shard_2.bin"])];
        const files = [];
        for (const name of parts) {
          const response = await fetch(`/files/${kind}/${name}`);
          if (response.ok) files.push({ name, file: await response.blob() });
        }
        const picked = await engine.inspect({ files, name: "picked" });
        const quantised = await engine.inspect({ files, name: "picked", quant: "q4_0" });
        const lacking = await engine.inspect({ files: files.slice(1), name: "picked" }).catch((error) => `${error.status}: ${error.message}`);
        const info = await engine.modelInfo();
        const tokens = await engine.tokenize("The year 1984 was fine.");
        engine.terminate();
        return { ids, info, picked, quantised, lacking, tokens, n: files.length };
      }, { kind, prompt: PROMPT });
      check(`${kind}: tokens`, same(found.ids.slice(0, wanted.length), wanted) && wanted.length > 4, { page: found.ids, native: wanted });
      check(`${kind}: its name is the folder's`, found.info.name === kind && found.picked.model.name === "picked", found);
      check(`${kind}: a picked folder is the same model`, found.n >= 6 && found.picked.fits &&
        found.picked.model.n_param === found.info.n_param && found.picked.model.n_layer === 2, found);
      check(`${kind}: quantised while loading where asked`, kind === "mlc" || found.quantised.weight_bytes < 0.7 * found.picked.weight_bytes, found);
      check(`${kind}: a file that lacks is named`, found.lacking === "FILE_IO: picked/tokenizer.json: wanted this file of a model's folder, found none",
        found.lacking);
      const ids = JSON.parse(execFileSync(solo, ["tokenize", join(dir, kind)], { input: "The year 1984 was fine.", encoding: "utf8" }));
      check(`${kind}: tokenizer.json`, same(found.tokens, ids) && ids.length > 3, { page: found.tokens, native: ids });
    }
    await close(tab);
  });

  test("the asyncify build draws the same tokens", async () => {
    const asyncify = await browser.open(server.url("/"), { expected: [/404/] }); // a folder's optional files
    const { ids, folder } = await asyncify.evaluate(async (prompt) => {
      const { createEngine } = await import("/pkg/lib/engine/index.js");
      const engine = await createEngine({ build: "asyncify", model: "/files/toy.gguf", plan: { factoring: "stages" } });
      const answer = await engine.completions.create({ prompt, temperature: 1.5, seed: 12, max_tokens: 24, ignore_eos: true, solo_ids: true });
      return { ids: answer.solo_ids, folder: await engine.inspect("/files/hf/") };
    }, PROMPT);
    check("the same tokens", same(ids, first.answer.solo_ids), ids);
    check("and reads folders", folder.model.name === "hf" && folder.fits, folder);
    await close(asyncify);
  });

  test("a page written for WebLLM runs", async () => {
    const webllm = await browser.open(server.url("/pages/webllm.html"));
    await webllm.waitForFunction(() => window.result?.done || window.result?.error, null, { timeout: 120000 });
    const result = await webllm.evaluate(() => window.result);
    check("it ends well", result.done === true, result);
    check("its progress ends at 1", result.progress?.at(-1) === 1, result.progress);
    check("its stream and its whole answer are the same", result.text === result.again && result.text === result.message && result.text !== "", result);
    check("its usage comes last", result.usage?.completion_tokens === 6 && result.usage.extra.decode_tokens_per_s > 0, result.usage);
    check("its statistics are text", /prefill: .* decoding: /.test(result.stats), result.stats);
    await close(webllm);
  });
});
