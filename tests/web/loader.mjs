/** The loader in Chromium against servers that cut, stall, lie and refuse. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { bundle, close, rendererBytes, startBrowser, unrun } from "./harness.mjs";
import { fakeModel, startServer } from "./server.mjs";

const MB = 1 << 20;
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const here = (name) => new URL(name, import.meta.url).pathname;

describe("loader", { skip: unrun(), timeout: 120_000 }, () => {
  let home, other, browser;
  const model = fakeModel(6 * MB + 12345);
  const sum = sha256(model);

  before(async () => {
    [home, other] = await Promise.all([startServer(), startServer()]); // other: another origin
    home.files.set("/loader.html", { type: "text/html", bytes: readFileSync(here("pages/loader.html")) });
    home.files.set("/loader-worker.js", {
      type: "text/javascript",
      bytes: await bundle(here("pages/loader-worker.ts")),
    });
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await Promise.all([home?.close(), other?.close()]);
  });

  /** A fresh page; every request of it that fails on purpose shows on the console, so only exceptions count. */
  async function open() {
    const page = await browser.open(home.url("/loader.html"), { expected: [/Failed to load resource/, /CORS policy/, /net::ERR/] });
    await page.waitForFunction(() => window.call);
    const call = (...args) => page.evaluate((a) => window.call(...a), args);
    return { page, call, close: () => close(page), progress: () => page.evaluate(() => window.progress) };
  }
  /** Opens, reads all, closes; the SHA-256. */
  async function load({ call }, ref, options = {}) {
    const { source } = await call("open", ref, options);
    try {
      return await call("readAll", source);
    } finally {
      await call("close", source);
    }
  }
  const notes = async (tab) => (await tab.progress()).map((p) => p.note).filter(Boolean);
  let next = 0;
  function serve(options, server = other) {
    const path = `/model-${next++}.gguf`;
    server.files.set(path, { bytes: model, ...options });
    return { path, url: server.url(path), file: server.files.get(path), requests: () => server.requests(path) };
  }

  test("a file comes from the network once, then from the browser's storage without it", async () => {
    const tab = await open();
    const at = serve({});
    assert.equal(await load(tab, { url: at.url, sha256: sum }), sum);
    assert.equal(at.requests().length, 1);
    other.files.delete(at.path); // no network any more
    const again = await open();
    assert.equal(await load(again, { url: at.url }), sum);
    assert.equal(at.requests().length, 1);
    assert.equal((await again.progress()).at(-1).from, "cache");
    const [entry] = await again.call("list");
    assert.equal(entry.size, model.length);
    assert.equal(entry.complete, true);
    assert.equal(await load(again, { cached: entry.id }), sum);
    await again.call("remove", entry.id);
    assert.ok(!(await again.call("list")).some((e) => e.id === entry.id));
    await assert.rejects(again.call("open", { cached: entry.id }), /no longer kept/);
    await tab.close();
    await again.close();
  });

  test("reads wait for what is on its way, in order and out of it, and report rate and size", async () => {
    const tab = await open();
    const at = serve({ bytesPerSecond: 8 * MB });
    const { source, size, name } = await tab.call("open", { url: at.url, sha256: sum });
    assert.equal(size, model.length);
    assert.equal(name, at.path.slice(1));
    const part = (from, n) => sha256(model.subarray(from, from + n));
    assert.equal(await tab.call("read", source, 0, 100), part(0, 100));
    const early = (await tab.progress()).at(-1)?.received ?? 0;
    assert.ok(early < model.length / 2, `the head was read when ${early} bytes had come`);
    assert.equal(await tab.call("read", source, 4 * MB, 1000), part(4 * MB, 1000));
    assert.equal(await tab.call("read", source, MB, 4096), part(MB, 4096));
    assert.equal(await tab.call("readAll", source), sum);
    const rates = (await tab.progress()).map((p) => p.rate).filter((rate) => rate > 0);
    assert.ok(rates.length > 0 && rates.every((rate) => rate < 30 * MB), `rates: ${rates}`);
    await tab.call("close", source);
    await tab.close();
  });

  test("only what is wanted comes, and a little ahead", async () => {
    const tab = await open();
    const at = serve({ bytes: fakeModel(24 * MB) });
    const { source } = await tab.call("open", { url: at.url }, { ahead: MB });
    await tab.call("read", source, 0, 4096);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await tab.call("close", source);
    const entry = (await tab.call("list")).find((e) => e.url === at.url);
    assert.ok(entry.received > 0 && entry.received < 3 * MB, `${entry.received} bytes received`);
    await tab.close();
  });

  test("a connection that is cut goes on where it was", async () => {
    const tab = await open();
    for (const [server, etag] of [
      [other, ""],
      [home, '"v1"'],
    ]) {
      const at = serve({ cutAfter: [MB + 7, 2 * MB + 1], etag }, server);
      assert.equal(await load(tab, { url: at.url, sha256: sum }), sum);
      const ranges = at.requests().map((r) => Number(/=(\d+)-/.exec(r.range)?.[1] ?? 0));
      assert.equal(ranges.length, 3);
      assert.ok(ranges[1] > 0 && ranges[2] > ranges[1], `ranges ${ranges}`);
    }
    assert.ok(
      (await notes(tab)).some((n) => /connection was cut; trying again/.test(n)),
      `${await notes(tab)}`,
    );
    await tab.close();
  });

  test("without Range it starts again and says so", async () => {
    const tab = await open();
    const at = serve({ cutAfter: [3 * MB], range: false });
    assert.equal(await load(tab, { url: at.url, sha256: sum }), sum);
    assert.equal(at.requests().length, 2);
    assert.ok(
      (await notes(tab)).some((n) => /cannot resume: the first .* come again/.test(n)),
      `${await notes(tab)}`,
    );
    await tab.close();
  });

  test("a closed tab goes on where it was", async () => {
    const tab = await open();
    const at = serve({ bytes: fakeModel(48 * MB, 3), stallAfter: [40 * MB] });
    const wanted = sha256(at.file.bytes);
    await tab.call("open", { url: at.url, sha256: wanted }, { stallMs: 20_000, ahead: 64 * MB });
    await tab.page.waitForFunction(() => window.progress.at(-1)?.received > 33 * 1048576);
    await tab.page.close(); // in the middle: nothing is told to stop
    const again = await open();
    assert.equal(await load(again, { url: at.url, sha256: wanted }), wanted);
    const range = at.requests()[1].range;
    assert.ok(Number(/=(\d+)-/.exec(range)[1]) >= 32 * MB, `went on with ${range}`);
    await again.close();
  });

  test("a large file costs the page little memory", async () => {
    const tab = await open();
    const size = Number(process.env.SOLO_TEST_MODEL_MB ?? 256) * MB;
    const at = serve({ range: false, repeat: size, bytes: model.subarray(0, MB) });
    const before = rendererBytes();
    let peak = 0;
    const timer = setInterval(() => (peak = Math.max(peak, rendererBytes())), 20);
    const { source } = await tab.call("open", { url: at.url, sha256: "0".repeat(64) });
    await assert.rejects(tab.call("drain", source), /wanted SHA-256 0/);
    clearInterval(timer);
    await tab.call("close", source);
    console.log(`${size / MB} MiB through the page: its memory grew by ${((peak - before) / 1e6).toFixed(0)} MB at most`);
    assert.ok(before > 0 && peak - before < 150e6, `${before} bytes before, ${peak} at most`);
    await tab.close();
  });

  test("a file that changed on the server is never mixed with the old one", async () => {
    const tab = await open();
    for (const server of [home, other]) {
      const at = serve({ etag: '"v1"', stallAfter: [2 * MB] }, server);
      const { source } = await tab.call("open", { url: at.url }, { stallMs: 20_000 });
      await tab.call("read", source, 0, MB);
      await tab.call("close", source);
      Object.assign(at.file, { bytes: fakeModel(model.length, 9), etag: '"v2"' });
      assert.equal(await load(tab, { url: at.url }), sha256(at.file.bytes), "a new start, from the beginning");
    }
    const at = serve({ etag: '"v1"', cutAfter: [2 * MB] });
    const { source } = await tab.call("open", { url: at.url }, { backoffMs: 300 });
    await tab.call("read", source, 0, MB);
    Object.assign(at.file, { bytes: fakeModel(model.length, 9), etag: '"v2"' });
    await assert.rejects(tab.call("readAll", source), /became another one/); // some of the old was given out already
    await tab.call("close", source);
    assert.ok(!(await tab.call("list")).some((e) => e.url === at.url));
    await tab.close();
  });

  test("a damaged file is refused and not kept", async () => {
    const tab = await open();
    const at = serve({});
    await assert.rejects(
      load(tab, { url: at.url, sha256: "0".repeat(64) }),
      new RegExp(`wanted SHA-256 0+, found ${sum}`),
    );
    const bent = Buffer.from(model);
    bent[5 * MB] ^= 1;
    at.file.bytes = bent;
    const { source } = await tab.call("open", { url: at.url, sha256: sum }, { ahead: MB });
    await tab.call("read", source, 0, 1000);
    await assert.rejects(tab.call("read", source, model.length - 200, 100), /damaged or another one/);
    await tab.call("close", source);
    assert.ok(!(await tab.call("list")).some((e) => e.url === at.url));
    at.file.bytes = model;
    assert.equal(await load(tab, { url: `${at.url}#sha256=${sum}` }), sum);
    await tab.close();
  });

  test("servers that refuse, lie or send something else are told apart", async () => {
    const tab = await open();
    const text = (s) => Buffer.from(s);
    const cases = [
      [{ status: 404 }, /no such file on the server \(status 404\)/],
      [{ status: 401 }, /wants a login or permission \(status 401\)/],
      [{ status: 503 }, /busy or broken \(status 503\), 4 times in a row/],
      [{ status: 302 }, /failed|wanted status 200/],
      [{ cors: false }, /does not let this page read \S+ \(no CORS/],
      [{ type: "text/html", bytes: text("<!doctype html><p>Sign in") }, /a web page came in place of a model/],
      [{ bytes: text("<html><p>Sign in".padEnd(9000)) }, /a web page came in place of a model/],
      [{ bytes: text("version https://git-lfs.github.com/spec/v1\noid sha256:00") }, /Git LFS pointer/],
      [{ bytes: text("PK\x03\x04 and so on") }, /ZIP archive/],
      [{ bytes: text('{"error":"gone"}') }, /begins with "GGUF"; found "\{\\"error\\"/],
      [{ noLength: true }, /does not say how long the file is/],
      [
        { length: model.length + 5000 },
        /though it had said that the file is longer|(ended after|connection).*, 4 times/,
      ],
    ];
    const urls = [];
    for (const [fault, message] of cases) {
      const at = serve(fault);
      urls.push(at.url);
      await assert.rejects(load(tab, { url: at.url }), message);
    }
    await assert.rejects(
      load(tab, { url: serve({}).url, size: 1234 }),
      /wanted a file of 1234 bytes, the server has one of/,
    );
    await assert.rejects(load(tab, { url: "http://127.0.0.1:9/x.gguf" }), /no connection to 127.0.0.1:9 .*4 times/);
    await assert.rejects(load(tab, { url: "ftp://x/y.gguf" }), /begins with http/);
    const kept = (await tab.call("list")).filter((e) => urls.includes(e.url)).map((e) => e.size);
    assert.deepEqual(kept, [model.length + 5000], "only where more might come is anything kept");
    await tab.close();
  });

  test("a stalled server is tried again, then given up", async () => {
    const tab = await open();
    const at = serve({ stallAfter: [MB, MB] });
    assert.equal(await load(tab, { url: at.url, sha256: sum }, { stallMs: 300 }), sum);
    assert.equal(at.requests().length, 3);
    assert.ok(
      (await notes(tab)).some((n) => /no byte for 0.3 s; trying again/.test(n)),
      `${await notes(tab)}`,
    );
    const dead = serve({ stallAfter: [MB, 0, 0, 0, 0, 0] });
    await assert.rejects(
      load(tab, { url: dead.url }, { stallMs: 200 }),
      /no (byte|answer).* for 0.2 s, 4 times.*are kept; loading again/,
    );
    assert.equal(await load(tab, { url: dead.url }), sum);
    await tab.close();
  });

  test("two tabs: the second waits, then reads what the first has received", async () => {
    const [first, second] = [await open(), await open()];
    const at = serve({ bytesPerSecond: 6 * MB });
    const started = await first.call("open", { url: at.url, sha256: sum });
    const both = [
      first.call("readAll", started.source).then(() => first.call("close", started.source)),
      load(second, { url: at.url, sha256: sum }),
    ];
    assert.equal((await Promise.all(both))[1], sum);
    assert.equal(at.requests().length, 1);
    assert.ok((await notes(second)).some((n) => /another tab is loading/.test(n)));
    // Both read the complete file at once; neither may delete it meanwhile.
    const [a, b] = [await first.call("open", { url: at.url }), await second.call("open", { url: at.url })];
    const entry = (await first.call("list")).find((e) => e.url === at.url);
    await assert.rejects(second.call("remove", entry.id), /being loaded, here or in another tab/);
    assert.deepEqual([await first.call("readAll", a.source), await second.call("readAll", b.source)], [sum, sum]);
    await first.close();
    await second.call("close", b.source);
    await second.call("remove", entry.id);
    await second.close();
  });

  test("two tabs: where the first is closed in the middle, the second goes on", async () => {
    const [first, second] = [await open(), await open()];
    const at = serve({ stallAfter: [3 * MB] });
    await first.call("open", { url: at.url, sha256: sum }, { stallMs: 20_000 });
    const loading = load(second, { url: at.url, sha256: sum });
    await second.page.waitForFunction(() => window.progress.some((p) => /another tab/.test(p.note)));
    await first.page.close();
    assert.equal(await loading, sum);
    await second.close();
  });

  test("without room it says how much is wanted and free", async () => {
    const tab = await open();
    const session = await browser.context.newCDPSession(tab.page);
    const { usage } = await tab.page.evaluate(() => navigator.storage.estimate());
    await session.send("Storage.overrideQuotaForOrigin", { origin: home.origin, quotaSize: usage + 3 * MB });
    await assert.rejects(load(tab, { url: serve({}).url }), /wanted room for 6.30 MB .*found about [23].\d+ MB/);
    await session.send("Storage.overrideQuotaForOrigin", { origin: home.origin });
    await tab.close();
  });

  test("where nothing can be stored it is held in memory, up to a limit", async () => {
    const tab = await open();
    await tab.call("noStorage");
    const at = serve({ cutAfter: [MB] });
    assert.equal(await load(tab, { url: at.url, sha256: sum }), sum);
    await assert.rejects(load(tab, { url: at.url }, { memoryLimit: MB }), /must fit 1.05 MB of memory; it has 6.30 MB/);
    await tab.close();
  });

  test("picked files and bytes", async () => {
    const tab = await open();
    const found = await tab.page.evaluate(async (url) => {
      const file = new File([await (await fetch(url)).blob()], "picked.gguf");
      const read = async (ref) => {
        const { source, name } = await window.call("open", ref);
        return [name, await window.call("readAll", source)];
      };
      return [await read({ file }), await read({ bytes: await file.arrayBuffer(), name: "held.gguf" })];
    }, serve({}).url);
    assert.deepEqual(found, [
      ["picked.gguf", sum],
      ["held.gguf", sum],
    ]);
    const web = tab.page.evaluate(() => window.call("open", { file: new File(["<html>x"], "bad.gguf") }));
    await assert.rejects(web, /bad.gguf: a web page came/);
    await tab.close();
  });

  test("a model's folder: its files by name, few at a time, what it lacks, without the network, as one in the list", async () => {
    const tab = await open();
    const shards = [fakeModel(9 * MB, 5), fakeModel(9 * MB, 6), fakeModel(9 * MB, 7)];
    const base = `/org/tiny-${next++}/`;
    const put = (name, options) => other.files.set(base + name, options);
    put("config.json", { bytes: Buffer.from(`{"a": "${"x".repeat(5000)}"}`), gzip: true }); // its length is not said
    put("chat_template.jinja", { status: 404 });
    shards.forEach((bytes, i) => put(`shard-${i}.bin`, { bytes }));
    const folder = { url: other.url(base) };
    assert.deepEqual(await tab.call("open", folder), { name: base.split("/").at(-2) });

    const config = await tab.call("openIn", "config.json");
    assert.equal(config.size, other.files.get(`${base}config.json`).bytes.length);
    for (const { source } of [config, await tab.call("openIn", "config.json")]) // by whoever asks again too
      assert.equal(await tab.call("readAll", source), sha256(other.files.get(`${base}config.json`).bytes));
    // Servers say in several ways that they have no such file; here each but the last lets pages read the answer.
    assert.equal(await tab.call("openIn", "chat_template.jinja"), undefined);
    put("secret.json", { status: 403 });
    put("closed.json", { cors: false, status: 404 });
    await assert.rejects(tab.call("openIn", "secret.json"), /wants a login or permission \(status 403\)/);
    await assert.rejects(tab.call("openIn", "closed.json"), /does not let this page read .*closed.json \(no CORS/);
    put("tokenizer.json", { bytes: Buffer.from("{}") }); // the folder can be read: what is refused is not there
    assert.equal(await tab.call("openIn", "secret.json"), undefined);
    assert.equal(await tab.call("openIn", "closed.json"), undefined);
    const first = await tab.call("openIn", "shard-0.bin");
    await tab.call("read", first.source, 0, 1000);
    const [second, third] = [await tab.call("openIn", "shard-1.bin", 9 * MB), await tab.call("openIn", "shard-2.bin", 9 * MB)];
    assert.equal(other.requests(`${base}shard-1.bin`).length, 0, "with its size said, a shard is not asked for before it is read");
    for (const [i, { source }] of [first, second, third].entries()) {
      // By turns, as weights and their scales: neither connection is given up for the other.
      assert.equal(await tab.call("read", source, 0, 5000), sha256(shards[i].subarray(0, 5000)));
      if (i > 0) assert.equal(await tab.call("read", first.source, 7 * MB, 100), sha256(shards[0].subarray(7 * MB, 7 * MB + 100)));
    }
    assert.equal(await tab.call("readAll", first.source), sha256(shards[0]));
    assert.equal(await tab.call("readAll", second.source), sha256(shards[1]));
    assert.equal(await tab.call("readAll", third.source), sha256(shards[2]));
    const last = (await tab.progress()).at(-1);
    assert.equal(last.total, 27 * MB + config.size);
    await tab.call("closeFolder");
    const lied = await tab.call("open", folder).then(() => tab.call("openIn", "shard-1.bin", 8 * MB));
    await assert.rejects(tab.call("read", lied.source, 0, 100), /shard-1.bin: wanted a file of 8388608 bytes, the server has one of 9437184/);
    await tab.call("closeFolder");

    const paths = [...other.files.keys()].filter((path) => path.startsWith(base));
    const gone = paths.map((path) => [path, other.files.get(path)]);
    for (const path of paths) other.files.set(path, { dead: true }); // what was not there fails as well
    const again = await open();
    await again.call("open", folder);
    for (const [name, bytes] of [["shard-0.bin", shards[0]], ["shard-2.bin", shards[2]]]) {
      const { source } = await again.call("openIn", name);
      assert.equal(await again.call("readAll", source), sha256(bytes), "from the browser's storage");
    }
    for (let i = 0; i < 2; i++)
      assert.equal(await again.call("openIn", "chat_template.jinja"), undefined, "as when the server was last asked");
    await again.call("closeFolder");
    gone.forEach(([path, file]) => other.files.set(path, file));

    const [kept] = (await again.call("models")).filter((each) => each.url === folder.url);
    assert.deepEqual([kept.name, kept.isFolder, kept.received > 18 * MB], [base.split("/").at(-2), true, true]);
    for (const id of kept.ids) await again.call("remove", id);
    assert.ok(!(await again.call("models")).some((each) => each.url === folder.url));
    await tab.close();
    await again.close();
  });

  test("addresses of folders: the hub's repositories, a file of one, a path", async () => {
    const tab = await open();
    const cases = [
      ["org/repo", `${other.origin}/org/repo/resolve/main/`, "repo"],
      [`${other.origin}/org/repo/tree/v2`, `${other.origin}/org/repo/resolve/v2/`, "repo"],
      [`${other.origin}/org/repo/blob/main/config.json`, `${other.origin}/org/repo/resolve/main/`, "repo"],
      ["/models/tiny/", `${home.origin}/models/tiny/`, "tiny"],
      ["https://example.org/a%20b/model-00001-of-00002.safetensors?download=true", "https://example.org/a%20b/", "a b"],
      ["https://example.org/x/mlc-chat-config.json", "https://example.org/x/", "x"],
    ];
    for (const [text, url, name] of cases)
      assert.deepEqual(await tab.call("parse", text, other.origin), { url, name, folder: true }, text);
    for (const text of ["org/repo/tiny.gguf", "models/tiny.gguf", "https://example.org/tiny", "./tiny.gguf"])
      assert.equal((await tab.call("parse", text, other.origin)).folder, undefined, text);
    await tab.close();
  });

  test("the hub: short names, pages of files, its checksum", async () => {
    const tab = await open();
    const options = { hub: other.origin };
    other.files.set("/org/repo/resolve/main/q4/tiny.gguf", { bytes: model });
    const info = {
      bytes: Buffer.from(JSON.stringify([{ path: "q4/tiny.gguf", size: 9, lfs: { oid: sum, size: model.length } }])),
    };
    other.files.set("/api/models/org/repo/paths-info/main", info);
    assert.equal(await load(tab, { url: "org/repo/q4/tiny.gguf" }, options), sum);
    const entry = (await tab.call("list")).find((e) => e.name === "tiny.gguf");
    assert.equal(entry.sha256, sum);
    assert.equal(await load(tab, { url: `${other.origin}/org/repo/blob/main/q4/tiny.gguf` }, options), sum);
    assert.equal(other.requests("/org/repo/resolve/main/q4/tiny.gguf").length, 1, "one model, whatever its name");
    await tab.call("remove", entry.id);
    info.bytes = Buffer.from(
      JSON.stringify([{ path: "q4/tiny.gguf", lfs: { oid: "1".repeat(64), size: model.length } }]),
    );
    await assert.rejects(load(tab, { url: "org/repo:q4/tiny.gguf" }, options), /wanted SHA-256 1+, found/);
    await tab.close();
  });
});
