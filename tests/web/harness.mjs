/** What the browser tests share: Debian's Chromium on its software adapter through playwright-core, bundles of test pages, the
 *  native program, and why none of it may be there. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const source = process.env.SOLO_SOURCE ?? fileURLToPath(new URL("../..", import.meta.url));
export const solo = process.env.SOLO_BIN ?? join(source, "build/solo");
export const tarball = process.env.SOLO_WEB_PACKAGE ?? join(source, "build/web/solo-engine.tgz");
/** The packages of web/package.json: tests have none of their own. */
export const packages = createRequire(join(source, "web/package.json"));

const CHROMIUM = process.env.SOLO_CHROMIUM ?? "/usr/bin/chromium";
const NEEDED = [
  [CHROMIUM, "tools/setup.sh test installs it, SOLO_CHROMIUM names another"],
  [join(source, "web/node_modules/playwright-core"), "tools/setup.sh test installs it"],
];

/** Why a test that also needs these ([path, who makes it]) cannot run here, or false. Says so, as run_test.sh wants it. */
export function unrun(needed = []) {
  const [missing] = [...NEEDED, ...needed].filter(([path]) => !existsSync(path));
  if (missing) console.log(`UNRUN: ${missing[0]} is missing (${missing[1]})`);
  return missing !== undefined;
}

export function check(what, ok, found = "") {
  assert.ok(ok, `${what}; found ${typeof found === "string" ? found : JSON.stringify(found)}`);
}

/** The native program, quietly; what it prints. */
export function run(...args) {
  const env = { ...process.env, VK_ICD_FILENAMES: "/usr/lib/chromium/vk_swiftshader_icd.json" };
  return execFileSync(solo, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], env });
}

/** A small GGUF's numbers as a folder of kind "hf" (two shards) or "mlc". */
export function makeFolder(kind, gguf, folder) {
  execFileSync("python3", [join(source, "tests/folders.py"), kind, gguf, folder], { stdio: "inherit" });
}

const ARGS = [
  "--enable-unsafe-webgpu",
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A profile of its own, kept from page to page until closed, so that a test can "close the tab" and come back. */
export async function startBrowser(options = {}) {
  const profile = mkdtempSync(join(tmpdir(), "solo-web-"));
  const { chromium } = packages("playwright-core");
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    args: ARGS,
    headless: true,
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  context.setDefaultTimeout(20_000);
  /** A page whose complaints end up in page.errors. */
  async function open(url, { expected = [], prepare = async () => {} } = {}) {
    const page = await context.newPage();
    page.errors = watchErrors(page, expected);
    await prepare(page);
    await page.goto(url);
    return page;
  }
  return {
    context,
    open,
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/** Warnings and errors on the console and uncaught exceptions, of a page and its workers; `expected` are left out. */
function watchErrors(page, expected) {
  const errors = [];
  const add = (text) => expected.some((pattern) => pattern.test(text)) || errors.push(text);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) add(`${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => add(String(error)));
  page.on("crash", () => add("the page crashed"));
  return errors;
}

/** Closes a page that must have said nothing on the console. */
export async function close(page) {
  assert.deepEqual(page.errors, [], "nothing on the console");
  await page.close();
}

/** One file of JavaScript from a TypeScript entry. */
export async function bundle(entry) {
  const { build } = await import(pathToFileURL(packages.resolve("vite")).href);
  const result = await build({
    configFile: false,
    logLevel: "warn",
    build: { write: false, minify: false, target: "esnext", lib: { entry, formats: ["es"], fileName: "out" } },
  });
  return Buffer.from((Array.isArray(result) ? result[0] : result).output[0].code);
}

/** Processes that this one started, of Chromium's kind `type` (Linux). */
function processes(type) {
  const text = (pid, file) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, "utf8");
    } catch {
      return ""; // ended meanwhile
    }
  };
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const parent = new Map(all.map((pid) => [pid, /^PPid:\s+(\d+)/m.exec(text(pid, "status"))?.[1]]));
  const mine = (pid) => pid !== undefined && (pid === String(process.pid) || mine(parent.get(pid)));
  return all.filter((pid) => text(pid, "cmdline").includes(`--type=${type}`) && mine(pid)).map((pid) => ({
    pid: Number(pid),
    bytes: 1024 * Number(/^RssAnon:\s+(\d+)/m.exec(text(pid, "status"))?.[1] ?? 0),
  }));
}

/** Private bytes of this process's renderers, all together. */
export const rendererBytes = () => processes("renderer").reduce((sum, { bytes }) => sum + bytes, 0);

/** Ends the GPU process: a device lost by something that went wrong. How many there were. */
export function killGpuProcess() {
  const ours = processes("gpu-process");
  ours.forEach(({ pid }) => process.kill(pid, "SIGKILL"));
  return ours.length;
}
