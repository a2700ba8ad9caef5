// harness.mjs: what the browser tests share: a static server with Range, Chromium on its software adapter, a page that loads
// the packed package, and checks that say which.
import { createReadStream, existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

export const source = process.env.SOLO_SOURCE ?? fileURLToPath(new URL("../..", import.meta.url));
const require = createRequire(join(source, "web/package.json"));

export function unrun(why) {
  console.log(`UNRUN: ${why}`);
  process.exit(77);
}

/** Where Chromium is; a test without it is UNRUN. */
export function chromiumPath() {
  const path = process.env.SOLO_CHROMIUM ?? "/usr/bin/chromium";
  if (!existsSync(path)) unrun(`no Chromium at ${path} (tools/setup.sh test installs it, SOLO_CHROMIUM names another)`);
  return path;
}

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm", ".css": "text/css" };

/** Serves folders ({"/": dir, "/models/": dir}) and texts ({"/x.html": "..."}) on a free port. */
export async function serve(folders, texts = {}) {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    if (path in texts) {
      response.writeHead(200, { "Content-Type": TYPES[extname(path)] ?? "text/plain" });
      return response.end(texts[path]);
    }
    const mount = Object.keys(folders).filter((each) => path.startsWith(each)).sort((a, b) => b.length - a.length)[0];
    const file = mount && join(folders[mount], normalize("/" + path.slice(mount.length)));
    if (!file || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(path === "/favicon.ico" ? 204 : 404);
      return response.end();
    }
    const size = statSync(file).size;
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    const headers = { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream", "Accept-Ranges": "bytes" };
    if (!range) {
      response.writeHead(200, { ...headers, "Content-Length": size });
      return createReadStream(file).pipe(response);
    }
    const from = Number(range[1]);
    const to = Math.min(range[2] === "" ? size - 1 : Number(range[2]), size - 1);
    response.writeHead(206, { ...headers, "Content-Length": to - from + 1, "Content-Range": `bytes ${from}-${to}/${size}` });
    createReadStream(file, { start: from, end: to }).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

export const CHROMIUM_FLAGS = [
  "--no-sandbox", "--enable-unsafe-webgpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

export async function browser(flags = []) {
  const { chromium } = require("playwright-core");
  return chromium.launch({ executablePath: chromiumPath(), args: [...CHROMIUM_FLAGS, ...flags] });
}

/** A page whose console errors and uncaught errors end up in `errors`. */
export async function newPage(context, url) {
  const page = await context.newPage();
  const errors = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") errors.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => errors.push(`uncaught: ${error.message}`));
  await page.goto(url);
  return { page, errors };
}

/** Ends the GPU process of the Chromium that this process started: a device lost by something that went wrong. */
export function killGpuProcess() {
  const parent = new Map();
  const gpu = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number)) {
    try {
      parent.set(pid, Number(readFileSync(`/proc/${pid}/stat`, "utf8").replace(/.*\) /s, "").split(" ")[1]));
      if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("--type=gpu-process")) gpu.push(pid);
    } catch {} // it ended meanwhile
  }
  const isOurs = (pid) => pid === process.pid || (pid > 1 && isOurs(parent.get(pid) ?? 0));
  const ours = gpu.filter(isOurs);
  ours.forEach((pid) => process.kill(pid, "SIGKILL"));
  return ours.length;
}

let nFailed = 0;
export function check(what, ok, found = "") {
  const seconds = (performance.now() / 1000).toFixed(1);
  console.log(`${ok ? "ok" : "FAILED"} ${seconds} s: ${what}${ok ? "" : `; found ${typeof found === "string" ? found : JSON.stringify(found)}`}`);
  if (!ok) nFailed++;
}
export function finish() {
  process.exit(nFailed ? 1 : 0);
}
