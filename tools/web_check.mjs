// web_check.mjs CORE.wasm: the core imports what src/web/imports.txt and four functions of WASI allow, and exports what
// src/web/exports.txt lists; nothing more, nothing less.
import { readFileSync } from "node:fs";

const names = (file) =>
  readFileSync(new URL(`../src/web/${file}`, import.meta.url), "utf8").split("\n").filter((line) => /^\w/.test(line));
const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const renamed = { host_read: "solo.read", host_open: "solo.open", host_progress: "solo.progress" };
const allowed = new Set([
  ...names("imports.txt").map((name) => renamed[name] ?? `env.${name}`),
  ...["clock_time_get", "fd_close", "fd_seek", "fd_write"].map((name) => `wasi_snapshot_preview1.${name}`),
]);
const wanted = new Set([...names("exports.txt"), "memory", "__indirect_function_table", "_initialize"]);
const imports = new Set(WebAssembly.Module.imports(module).map((each) => `${each.module}.${each.name}`));
const exports = new Set(WebAssembly.Module.exports(module).map((each) => each.name));

const bad = [
  ...[...imports].filter((name) => !allowed.has(name)).map((name) => `imports ${name}, which no list allows`),
  ...[...allowed].filter((name) => !imports.has(name)).map((name) => `does not import ${name}, which a list has`),
  ...[...wanted].filter((name) => !exports.has(name)).map((name) => `does not export ${name}`),
  ...[...exports].filter((name) => !wanted.has(name)).map((name) => `exports ${name}, which no list has`),
];
for (const line of bad) console.error(`web: error: ${process.argv[2]} ${line}`);
process.exit(bad.length ? 1 : 0);
