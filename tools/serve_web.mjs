// serve_web.mjs [--port N] [--dist DIR] [--models DIR]: serves the page that `make web` built, and the models of
// this checkout beside it, on localhost, and prints the address. Plain files with Range: nothing here that any
// other host of static files lacks, and no special headers.
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const top = fileURLToPath(new URL("..", import.meta.url));
const { values } = parseArgs({
  options: {
    port: { type: "string", default: "8080" },
    dist: { type: "string", default: join(top, "dist") },
    models: { type: "string", default: join(top, "models") },
  },
});
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

if (!existsSync(join(values.dist, "index.html"))) {
  console.error(`serve_web: wanted ${join(values.dist, "index.html")}, found none; \`make web\` builds it`);
  process.exit(1);
}

/** What dist/ lists, and the models of this checkout. */
function localModels() {
  const listed = JSON.parse(readFileSync(join(values.dist, "local-models.json"), "utf8"));
  const names = existsSync(values.models) ? readdirSync(values.models).filter((name) => name.endsWith(".gguf")) : [];
  return [
    ...names.map((name) => ({ url: `models/${name}`, size: statSync(join(values.models, name)).size })),
    ...listed,
  ];
}

function fileOf(path) {
  const inside = normalize(decodeURIComponent(path)); // ".." cannot climb out: the path is absolute
  const places = [join(values.dist, inside.endsWith("/") ? `${inside}index.html` : inside)];
  if (inside.startsWith("/models/")) places.push(join(values.models, inside.slice(8)));
  return places.find((file) => existsSync(file) && statSync(file).isFile());
}

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname === "/local-models.json") {
    return void response.writeHead(200, { "Content-Type": TYPES[".json"] }).end(JSON.stringify(localModels()));
  }
  let file;
  try {
    file = fileOf(pathname);
  } catch {} // an address that is no text
  if (!file) return void response.writeHead(404, { "Content-Type": "text/plain" }).end(`no such file: ${pathname}\n`);
  const { size, mtime } = statSync(file);
  const headers = {
    "Content-Type": TYPES[extname(file)] ?? "application/octet-stream",
    "Accept-Ranges": "bytes",
    "Last-Modified": mtime.toUTCString(),
  };
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = range ? Number(range[1]) : 0;
  const end = range?.[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
  if (range && start >= size) return void response.writeHead(416, headers).end();
  if (range) headers["Content-Range"] = `bytes ${start}-${end}/${size}`;
  headers["Content-Length"] = end - start + 1;
  response.writeHead(range ? 206 : 200, headers);
  if (request.method === "HEAD" || size === 0) return void response.end();
  createReadStream(file, { start, end })
    .on("error", () => response.destroy())
    .pipe(response);
});
server.on("error", (error) => {
  const busy = `port ${values.port} is taken: choose another with PORT=N`;
  console.error(`serve_web: ${error.code === "EADDRINUSE" ? busy : error.message}`);
  process.exit(1);
});
server.listen(Number(values.port), "127.0.0.1", () => console.log(`http://localhost:${server.address().port}/`));
