/** The built page in Chromium, with the real engine on a toy model of random weights, on SwiftShader. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { close, makeFolder, packages, run, solo, source, startBrowser, unrun } from "./harness.mjs";
import { startServer } from "./server.mjs";

const shots = process.env.SOLO_SCREENSHOTS; // a folder: pictures of every view are left there
const needed = [join(source, "dist/index.html"), solo].map((path) => [path, "make web"]);

describe("page", { skip: unrun(needed), timeout: 300_000 }, () => {
  let folder, server, url, faulty, browser;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "solo-page-"));
    mkdirSync(join(folder, "models"));
    run("synth", "toy:64x2x4", join(folder, "models/tiny.gguf"), "--ctx", "512");
    server = spawn(process.execPath, [
      join(source, "tools/serve_web.mjs"),
      "--port",
      "0",
      "--models",
      join(folder, "models"),
    ]);
    url = await new Promise((resolve) => server.stdout.once("data", (line) => resolve(String(line).trim())));
    faulty = await startServer({ "/folders/": folder }); // of another origin, whose 404 pages may not read
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    server?.kill();
    await faulty?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const open = (prepare, expected) => browser.open(url, { prepare, expected });
  const picker = (page) => page.getByRole("heading", { name: "A language model on your own GPU" }).waitFor();
  const message = (page) => page.getByRole("textbox", { name: "Message" });
  const ready = (page) => message(page).waitFor({ timeout: 90_000 });
  const answered = (page, n = 1) =>
    page.waitForFunction(
      (n) => [...document.querySelectorAll(".stats")].filter((e) => /dispatches/.test(e.textContent)).length >= n,
      n,
      {
        timeout: 60_000,
      },
    );

  /** Light and dark, desktop and phone: nothing that axe finds, nothing wider than the screen; pictures where asked. */
  async function look(page, name) {
    for (const [width, height] of [
      [1280, 800],
      [390, 844],
    ]) {
      for (const colorScheme of ["light", "dark"]) {
        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        if (shots) await page.screenshot({ path: join(shots, `${name}-${width}-${colorScheme}.png`) });
        await page.addScriptTag({ path: packages.resolve("axe-core") });
        const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
        const found = violations.map((v) => `${v.id}: ${v.nodes[0].html} ${v.nodes[0].failureSummary}`);
        assert.deepEqual(found, [], `${name}, ${width} wide, ${colorScheme}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${name}: ${wide} pixels wider than ${width}`);
      }
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  }

  test("chat: pick a model, ask, stop, regenerate, change settings, come back without the network", async () => {
    const page = await open((page) =>
      page.addInitScript(() => (localStorage["solo.sampling"] ||= JSON.stringify({ max_tokens: 100 }))),
    );
    await picker(page);
    await look(page, "picker");
    await page.getByRole("button", { name: /^tiny/ }).click();
    await ready(page);
    assert.ok(await message(page).evaluate((e) => e === document.activeElement), "one can type at once");

    await page.keyboard.type("Hello");
    await page.evaluate(() => {
      window.gaps = [];
      let last = performance.now();
      const frame = (now) => (window.gaps.push(now - last), (last = now), requestAnimationFrame(frame));
      requestAnimationFrame(frame);
    });
    await page.keyboard.press("Enter");
    await answered(page);
    const gaps = (await page.evaluate(() => window.gaps)).sort((a, b) => a - b);
    const [median, worst] = [gaps[gaps.length >> 1], gaps.at(-1)];
    console.log(
      `frames while answering: median ${median.toFixed(0)} ms, worst ${worst.toFixed(0)} ms, ${gaps.length} in all`,
    );
    assert.ok(median < 50 && worst < 1000, "frames keep coming");
    assert.match(
      await page.locator(".stats").last().textContent(),
      /tok\/s · 15 dispatches a token · stages · \d+ tokens/,
    );
    await look(page, "chat");

    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("Longest answer").fill("300");
    await page.getByLabel("Seed").fill("7");
    await page.getByLabel("System prompt").fill("Be brief.");
    await page.keyboard.press("Tab");
    await look(page, "settings");
    await page.getByRole("button", { name: "Regenerate" }).click();
    await page.getByRole("button", { name: "Stop" }).waitFor();
    await page.waitForFunction(
      () => document.querySelector("[aria-busy=true] .message:last-of-type .markdown")?.textContent.length > 5,
    );
    await page.getByRole("button", { name: "Stop" }).click();
    await answered(page);
    const answer = await page.locator(".message.assistant").last().textContent();
    assert.equal(await page.locator(".message").count(), 2, "in place of the first answer");

    await page.context().setOffline(true); // from here on, only what the browser keeps
    await page.context().route("**/models/**", (route) => route.abort());
    await page.context().setOffline(false);
    await page.reload();
    await picker(page);
    await page.getByRole("button", { name: "Load tiny.gguf" }).click();
    await ready(page);
    assert.equal(await page.locator(".message.assistant").last().textContent(), answer, "the conversation is kept");
    await page.getByRole("button", { name: "Settings" }).click();
    assert.equal(await page.getByLabel("Seed").inputValue(), "7");
    await page.context().unroute("**/models/**");
    await page.getByRole("button", { name: "Clear" }).click();
    assert.equal(await page.locator(".message").count(), 0);

    // The same page goes on: the spectrum of this model, then the device's loss.
    await page.getByRole("link", { name: "Spectrum" }).click();
    for (const name of ["roles", "layer", "chunk", "single", "single-wg", "burst"])
      await page.getByLabel(name, { exact: true }).uncheck();
    for (const name of ["Tokens a sample", "Samples", "Positions before"])
      await page.getByLabel(name, { exact: true }).fill("2");
    await page.keyboard.press("Tab");
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await page.getByText(/^Fastest: /).waitFor({ timeout: 120_000 });
    const cells = await page
      .locator("tbody tr")
      .evaluateAll((rows) => rows.map((row) => row.innerText.split(/\s+/).slice(0, 4).join(" ")));
    assert.equal(cells.length, 2);
    assert.match(cells.join("\n"), /^unfused.* 47 [\d.]+.*\nstages.* 15 [\d.]+/m);
    assert.equal(await page.locator("tr.winner").count(), 1);
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download JSON" }).click(),
    ]);
    const saved = JSON.parse(readFileSync(await file.path(), "utf8"));
    assert.deepEqual(saved.rows.map((row) => row.factoring).sort(), ["stages", "unfused"]);
    assert.equal(new Set(saved.rows.map((row) => row.ids_hash)).size, 1, "both draw the same tokens");
    await look(page, "spectrum");

    await page.workers()[0].evaluate(() => self.onmessage({ data: { solo: "lose-device-for-test" } }));
    await page.getByRole("heading", { name: "The GPU went away" }).waitFor();
    await look(page, "lost");
    await page.getByRole("button", { name: "Load the model again" }).click();
    await page.getByText("Compiling the kernels").waitFor(); // as far as that the way is the one of any load

    // No event tells the page that a worker is gone, as a browser out of memory would end it.
    await page.workers()[0].evaluate(() => self.close());
    await page.getByRole("heading", { name: "The engine stopped" }).waitFor();
    await page.getByText("the engine's worker was ended").waitFor();
    await page.getByRole("button", { name: "Load the model again" }).waitFor();
    await look(page, "crashed");
    await page.getByRole("button", { name: "Choose another model" }).click();
    await page.getByRole("link", { name: "Chat" }).click();
    await picker(page);
    await close(page);
  });

  test("experiments: a spec of the program's, on models made here, into a file that the tools take", async () => {
    const page = await open();
    await page.getByRole("link", { name: "Spectrum" }).click();
    await page.getByLabel("Spec").selectOption("int4");
    await page.getByText(/0 of \d+ rows/).waitFor();
    await page.getByLabel("Spec").selectOption("spectrum");
    await page.getByText("0 of 3 rows").waitFor();
    await page.getByRole("button", { name: "Run the experiment" }).click();
    await page.getByText("1 of 3 rows").waitFor({ timeout: 120_000 });
    await page.getByRole("button", { name: "Stop after this row" }).click();
    await page.getByRole("button", { name: "Go on" }).click(); // with the rows that are missing
    await page.getByText("3 of 3 rows").waitFor({ timeout: 120_000 });
    await page.getByText(/fitted: a dispatch/).waitFor();
    await look(page, "experiments");
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download the result" }).click(),
    ]);
    assert.match(file.suggestedFilename(), /swiftshader.*-spectrum\.jsonl$/);
    const path = join(folder, "result.jsonl");
    await file.saveAs(path);
    execFileSync("python3", [join(source, "tools/devices.py"), "--check", path], { stdio: "pipe" });
    const [head, ...rows] = readFileSync(path, "utf8").trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual([head.where, head.quick, head.device.is_software], ["page", true, true]);
    assert.deepEqual(rows.map((row) => [row.plan.factoring, row.dispatches_per_token, row.status]), [
      ["unfused", 47, "ok"],
      ["roles", 18, "ok"],
      ["stages", 15, "ok"],
    ]);
    const curves = JSON.parse(run("plot", path, "--json")).curves; // the program reads it as its own
    assert.equal(curves[0].points.length, 3);
    await close(page);
  });

  test("probe: what the device is, measured, copied", async () => {
    const page = await open((page) => page.context().grantPermissions(["clipboard-read", "clipboard-write"]));
    await page.getByRole("link", { name: "Probe" }).click();
    await page.getByText("What runs here").waitFor();
    await page.getByRole("button", { name: "Measure" }).click();
    await page.getByText("Workgroups together").waitFor({ timeout: 60_000 });
    await look(page, "probe");
    await page.getByRole("button", { name: "Copy as JSON" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    const copied = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
    assert.ok(copied.read_bytes_s > 0 && copied.device.max_binding_bytes > 0 && copied.dispatch_us > 0);

    // The core traps: what it says, and the engine afresh.
    await page.workers()[0].evaluate(() => {
      GPUQueue.prototype.submit = () => {
        throw new WebAssembly.RuntimeError("memory access out of bounds");
      };
    });
    await page.getByRole("button", { name: "Measure" }).click();
    await page.getByRole("heading", { name: "The engine stopped" }).waitFor();
    await page.getByText("memory access out of bounds").waitFor();
    await page.getByRole("button", { name: "Start again" }).click();
    await page.getByText("What runs here").waitFor();
    await close(page);
  });

  test("no WebGPU, no adapter: a readable screen and a way back", async () => {
    const page = await open((page) =>
      page.addInitScript(() => {
        if (!sessionStorage.getItem("mended")) delete Navigator.prototype.gpu;
      }),
    );
    await page.getByRole("heading", { name: "This does not run here yet" }).waitFor();
    await page.getByText("This browser has no WebGPU").waitFor();
    await look(page, "unable");
    await page.evaluate(() => sessionStorage.setItem("mended", "yes"));
    await page.reload();
    await picker(page);
    await close(page);
  });

  test("bad addresses and files: the message, and the picker again", async () => {
    const page = await open(undefined, [/Failed to load resource/, /CORS policy/]);
    await picker(page);
    faulty.files.set("/none.gguf", { status: 404 });
    faulty.files.set("/page.gguf", { type: "text/html", bytes: Buffer.from("<!doctype html><p>hello") });
    faulty.files.set("/closed.gguf", { cors: false, bytes: Buffer.from("GGUF") });
    faulty.files.set("/short.gguf", { bytes: Buffer.from("GGUF\x03\0\0\0 and no more") });
    const cases = [
      ["/none.gguf", /no such file/],
      ["/page.gguf", /a web page came/],
      ["/closed.gguf", /no CORS/],
      ["/short.gguf", /short.gguf: .+/],
    ];
    for (const [path, text] of cases) {
      await page.getByLabel(/by its address/).fill(faulty.url(path));
      await page.keyboard.press("Enter");
      const alert = page.getByRole("alert").filter({ hasText: text });
      await alert.waitFor();
      await alert.getByRole("button", { name: "Dismiss" }).click();
      await picker(page);
    }
    await page.getByLabel(/by its address/).fill("ftp://nowhere");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: "begins with http" }).waitFor();
    const input = page.locator("input[accept]");
    await input.setInputFiles({ name: "notes.gguf", mimeType: "text/plain", buffer: Buffer.from("shopping list") });
    await page.getByRole("alert").filter({ hasText: "notes.gguf: wanted a GGUF file" }).waitFor();

    // A suggested model whose publisher moved it, or whose server sends something else.
    const answers = [
      { status: 404, text: /SmolLM2-135M-Instruct-Q4_0.gguf: there is no such file on the server \(status 404\) at / },
      { status: 200, contentType: "text/html", body: "<!doctype html><p>moved", text: /a web page came in place of a model from / },
    ];
    for (const { text, ...answer } of answers) {
      const headers = { "Access-Control-Allow-Origin": "*" };
      await page.context().route("https://huggingface.co/**", (route) => route.fulfill({ ...answer, headers }));
      await page.getByRole("button", { name: /^SmolLM2 135M/ }).click();
      const alert = page.getByRole("alert").filter({ hasText: text });
      await alert.getByText(/https:\/\/huggingface.co\/bartowski\/SmolLM2-135M-Instruct-GGUF\/resolve\/main\//).waitFor();
      await alert.getByText(/SmolLM2 135M is a suggestion of this page; its publisher may have moved/).waitFor();
      await alert.getByRole("button", { name: "Dismiss" }).click();
      await page.context().unroute("https://huggingface.co/**");
    }
    await close(page);
  });

  test("a model's folder: by its address, kept, picked", async () => {
    run("synth", "toy:64x2x4", join(folder, "hf.gguf"), "--ctx", "512", "--type", "f16", "--output-type", "f16");
    makeFolder("hf", join(folder, "hf.gguf"), join(folder, "tiny-hf"));
    const page = await open(
      (page) => page.addInitScript(() => (localStorage["solo.sampling"] = JSON.stringify({ max_tokens: 10 }))),
      [/Failed to load resource/, /CORS policy/],
    );
    await picker(page);
    await page.getByLabel("Weights of a folder").selectOption("q4_0");
    await page.getByLabel(/by its address/).fill(faulty.url("/folders/tiny-hf/"));
    await page.keyboard.press("Enter");
    await ready(page);
    await page.getByText("tiny-hf", { exact: false }).first().waitFor();
    await page.keyboard.type("Hello");
    await page.keyboard.press("Enter");
    await answered(page);

    await page.context().route(faulty.url("/folders/**"), (route) => route.abort());
    await page.reload();
    await picker(page);
    await look(page, "picker-folder");
    await page.getByRole("button", { name: "Load tiny-hf" }).click();
    await page.getByText("Compiling the kernels").waitFor(); // all of it was there
    await page.getByRole("button", { name: "Stop" }).click();
    await picker(page);
    await page.getByRole("button", { name: "Delete tiny-hf" }).click();
    await page.getByRole("button", { name: "Delete tiny-hf" }).waitFor({ state: "detached" });
    await page.context().unroute(faulty.url("/folders/**"));

    await page.locator("input[type=file]:not([accept])").setInputFiles(join(folder, "tiny-hf"));
    await page.getByText("Compiling the kernels").waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await picker(page);
    rmSync(join(folder, "tiny-hf/tokenizer.json"));
    await page.locator("input[type=file]:not([accept])").setInputFiles(join(folder, "tiny-hf"));
    await page.getByRole("alert").filter({ hasText: "tiny-hf/tokenizer.json: wanted this file of a model's folder, found none" }).waitFor();
    await close(page);
  });

  test("a download shows how far it is, stops, and goes on later", async () => {
    const page = await open();
    await picker(page);
    const bytes = readFileSync(join(folder, "models/tiny.gguf"));
    faulty.files.set("/slow.gguf", { bytes, stallAfter: [100_000] });
    await page.getByLabel(/by its address/).fill(faulty.url("/slow.gguf"));
    await page.keyboard.press("Enter");
    await page.getByText(/of 170 kB/).waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await picker(page);
    await page
      .getByRole("button", { name: "Go on slow.gguf" })
      .or(page.getByRole("button", { name: "Load slow.gguf" }))
      .waitFor();
    await page.getByRole("button", { name: "Delete slow.gguf" }).click();
    await page.getByRole("button", { name: "Delete slow.gguf" }).waitFor({ state: "detached" });
    await close(page);
  });
});
