/** The real model in Chromium, from a server, through the packed package: its answer is the native build's. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { check, close, solo, source, startBrowser, tarball, unrun } from "./harness.mjs";
import { startServer } from "./server.mjs";

const NAME = "SmolLM2-135M-Instruct.Q4_1.gguf";
const models = process.env.SOLO_MODELS ?? join(source, "models");
const needed = [[tarball, "tools/web.sh builds it"], [solo, "make build"], [join(models, NAME), "tools/setup.sh test fetches it"]];

describe("model", { skip: unrun(needed), timeout: 1_200_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), "solo-web-"));
  let server, browser;

  before(async () => {
    execFileSync("tar", ["-xzf", tarball, "-C", dir]);
    server = await startServer({ "/pkg/": join(dir, "package"), "/models/": models });
    server.files.set("/", { type: "text/html", bytes: Buffer.from("<!doctype html><title>model</title>") });
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await server?.close();
    rmSync(dir, { recursive: true });
  });

  test("its answer is the native build's, and it passes through little memory", async () => {
    // Any adapter: the native one need not be the page's, and is quicker.
    const ask = ["-p", "Hi", "-n", "4", "--temp", "0.8", "--seed", "5", "--json"];
    const native = JSON.parse(execFileSync(solo, ["run", join(models, NAME), "--factoring", "stages", ...ask],
      { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
    const page = await browser.open(server.url("/"));
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
    await close(page);
  });
});
