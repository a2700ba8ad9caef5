// model.mjs: the real model in Chromium, from a server, through the packed package: its answer is the native build's.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { browser, check, chromiumPath, finish, newPage, serve, source, unrun } from "./harness.mjs";

const NAME = "SmolLM2-135M-Instruct.Q4_1.gguf";
const models = process.env.SOLO_MODELS ?? join(source, "models");
const tarball = process.env.SOLO_WEB_PACKAGE ?? join(source, "build/web/solo-engine.tgz");
if (!existsSync(tarball)) unrun(`no ${tarball} (tools/web.sh builds it)`);
if (!existsSync(join(models, NAME))) unrun(`no ${NAME} in ${models} (tools/setup.sh test fetches it)`);
chromiumPath();

const dir = mkdtempSync(join(tmpdir(), "solo-web-"));
execFileSync("tar", ["-xzf", tarball, "-C", dir]);
const server = await serve({ "/pkg/": join(dir, "package"), "/models/": models }, { "/": "<!doctype html><title>model</title>" });
const chromium = await browser();
const { page, errors } = await newPage(chromium, `${server.address}/`);
// Any adapter: the native one need not be the page's, and is quicker.
const native = JSON.parse(execFileSync(process.env.SOLO_BIN, ["run", join(models, NAME), "--factoring", "stages", "-p", "Hi", "-n", "4",
  "--temp", "0.8", "--seed", "5", "--json"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));

const found = await page.evaluate(async (url) => {
  const { createEngine } = await import("/pkg/lib/engine/index.js");
  const begun = performance.now();
  const engine = await createEngine({ model: url, plan: { factoring: "stages" } });
  const loaded = performance.now() - begun;
  const info = await engine.modelInfo();
  const ask = { messages: [{ role: "user", content: "Hi" }], temperature: 0.8, seed: 5, max_tokens: 4, solo_ids: true };
  const text = [];
  let ids;
  let usage;
  for await (const chunk of await engine.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })) {
    if (chunk.choices[0]?.delta.content) text.push(chunk.choices[0].delta.content);
    ids = chunk.solo_ids ?? ids;
    usage = chunk.usage ?? usage;
  }
  return { loaded, info, text: text.join(""), ids, usage, bytes: await engine.memoryBytes() };
}, `/models/${NAME}`);
console.log(`loaded in ${(found.loaded / 1000).toFixed(1)} s, the core's memory ${(found.bytes / 1048576).toFixed(1)} MiB, "${found.text}"`);
check("the tokens are the native build's", JSON.stringify(found.ids) === JSON.stringify(native.tokens) && native.tokens.length > 1,
  { page: found.ids, native: native.tokens });
check("so is the text", found.text === native.text, found.text);
check("the head was read as natively", found.info.n_layer === 30 && found.info.chat_family !== "unknown", found.info);
// 98 MB of weights passed through; what stays is the head, the tokenizer and a few pieces of 4 MiB.
check("the core's memory stayed small", found.bytes < 64 << 20, found.bytes);
check("no errors in the console", errors.length === 0, errors);
await chromium.close();
server.close();
rmSync(dir, { recursive: true });
finish();
