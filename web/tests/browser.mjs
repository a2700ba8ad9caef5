/** Debian's Chromium through playwright-core, and bundles of test pages. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const CHROMIUM = process.env.SOLO_CHROMIUM ?? "/usr/bin/chromium";
const modules = new URL("../node_modules/playwright-core", import.meta.url).pathname;
/** Why these tests cannot run here, or false. The packages are imported only after it was asked. */
export const noBrowser =
  [CHROMIUM, modules]
    .filter((path) => !existsSync(path))
    .map((path) => `${path} is missing (tools/setup.sh test installs it)`)[0] ?? false;

const ARGS = [
  "--enable-unsafe-webgpu",
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A profile of its own, kept from context to context until closed, so that a test can "close the tab" and come
 *  back. */
export async function startBrowser(options = {}) {
  const profile = mkdtempSync(join(tmpdir(), "solo-web-"));
  const { chromium } = await import("playwright-core");
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    args: ARGS,
    headless: true,
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  context.setDefaultTimeout(20_000);
  return {
    context,
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/** Private bytes of this process's renderers, all together (Linux). */
export function rendererBytes() {
  const text = (pid, file) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, "utf8");
    } catch {
      return ""; // ended meanwhile
    }
  };
  const parent = new Map();
  for (const pid of readdirSync("/proc")) {
    if (/^\d+$/.test(pid)) parent.set(pid, /^PPid:\s+(\d+)/m.exec(text(pid, "status"))?.[1]);
  }
  const mine = (pid) => pid !== undefined && (pid === String(process.pid) || mine(parent.get(pid)));
  let bytes = 0;
  for (const pid of parent.keys()) {
    if (!text(pid, "cmdline").includes("--type=renderer") || !mine(pid)) continue;
    bytes += 1024 * Number(/^RssAnon:\s+(\d+)/m.exec(text(pid, "status"))?.[1] ?? 0);
  }
  return bytes;
}

/** One file of JavaScript from a TypeScript entry. */
export async function bundle(entry) {
  const { build } = await import("vite");
  const result = await build({
    configFile: false,
    logLevel: "warn",
    build: { write: false, minify: false, target: "esnext", lib: { entry, formats: ["es"], fileName: "out" } },
  });
  return Buffer.from((Array.isArray(result) ? result[0] : result).output[0].code);
}

/** Console errors and uncaught exceptions of a page and its workers; `expected` are left out. */
export function watchErrors(page, expected = []) {
  const errors = [];
  const add = (text) => expected.some((pattern) => pattern.test(text)) || errors.push(text);
  page.on("console", (message) => message.type() === "error" && add(`${message.text()} ${message.location().url}`));
  page.on("pageerror", (error) => add(String(error)));
  page.on("crash", () => add("the page crashed"));
  return errors;
}
