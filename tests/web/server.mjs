/** A file server with the faults of real ones, asked for file by file: each of `files` is {bytes, …}, see serve(). What is not
 *  among them comes from `folders` ({"/models/": dir}), without faults. */
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm", ".css": "text/css" };

function fromFolder(folders, path) {
  const mount = Object.keys(folders).filter((each) => path.startsWith(each)).sort((a, b) => b.length - a.length)[0];
  const file = mount && join(folders[mount], normalize("/" + decodeURIComponent(path.slice(mount.length))));
  if (!file || !existsSync(file) || !statSync(file).isFile()) return undefined;
  return { bytes: readFileSync(file), type: TYPES[extname(file)] };
}

export async function startServer(folders = {}) {
  const files = new Map();
  const log = []; // {path, range, status}
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://x").pathname;
    const file = files.get(path) ?? fromFolder(folders, path);
    const entry = { path, method: request.method, range: request.headers.range ?? "", status: 0 };
    if (path !== "/favicon.ico") log.push(entry);
    response.on("close", () => (entry.status = response.statusCode));
    if (!file) return void response.writeHead(path === "/favicon.ico" ? 204 : 404).end();
    serve(file, request, response).catch((error) => response.destroy(error));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    origin,
    files,
    log,
    url: (path) => origin + path,
    requests: (path) => log.filter((entry) => entry.path === path && entry.method === "GET"),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(resolve);
      }),
  };
}

/** file: bytes; dead (no answer); gzip (packed on the way); type; cors (false: none); range (false: not offered); etag; status; length (a lie); cutAfter: [n, …] (of
 *  the first request, the second, …: bytes sent before the connection is destroyed); stallAfter: [n, …]; bytesPerSecond;
 *  repeat (so many bytes: these over and over, always from the first). */
async function serve(file, request, response) {
  const { bytes = Buffer.alloc(0) } = file;
  if (file.dead) return void response.destroy();
  const headers = { "Content-Type": file.type ?? "application/octet-stream" };
  if (file.cors !== false) headers["Access-Control-Allow-Origin"] = "*";
  if (file.etag) {
    headers.ETag = file.etag;
    headers["Access-Control-Expose-Headers"] = "ETag, Content-Range";
  }
  if (file.status) return void response.writeHead(file.status, headers).end(file.body ?? "");
  if (file.gzip) return void response.writeHead(200, { ...headers, "Content-Encoding": "gzip" }).end(gzipSync(bytes));
  let from = 0;
  const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
  const fresh = !request.headers["if-range"] || request.headers["if-range"] === file.etag;
  if (asked && file.range !== false && fresh) {
    from = Number(asked[1]);
    if (from >= bytes.length) return void response.writeHead(416, headers).end();
    headers["Content-Range"] = `bytes ${from}-${bytes.length - 1}/${file.length ?? bytes.length}`;
  }
  if (!file.noLength) headers["Content-Length"] = (file.repeat ?? file.length ?? bytes.length) - from;
  response.writeHead(asked && headers["Content-Range"] ? 206 : 200, headers);
  if (request.method === "HEAD") return void response.end();
  if (file.repeat) return void Readable.from(over(bytes, file.repeat)).pipe(response);
  const ended = new AbortController();
  const { signal } = ended;
  const gone = new Promise((resolve) => response.once("close", () => (ended.abort(), resolve())));
  const cut = file.cutAfter?.shift() ?? Infinity;
  const stall = file.stallAfter?.shift() ?? Infinity;
  const piece = file.bytesPerSecond ? Math.ceil(file.bytesPerSecond / 50) : 256 << 10;
  for (let at = from; at < bytes.length; at += piece) {
    const end = Math.min(at + piece, bytes.length, from + cut, from + stall);
    if (end > at && !response.write(bytes.subarray(at, end))) {
      await Promise.race([once(response, "drain", { signal }), gone]).catch(() => {});
    }
    if (response.destroyed) return;
    if (end === from + cut) return void setTimeout(() => response.destroy(), 200);
    if (end === from + stall) return; // and never another byte
    if (file.bytesPerSecond) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (file.length > bytes.length) return void response.destroy();
  response.end();
}

/** The bytes again and again, `size` in all. */
function* over(bytes, size) {
  for (let at = 0; at < size; at += bytes.length) yield bytes.subarray(0, Math.min(bytes.length, size - at));
}

/** Bytes that begin as a model does and never repeat. */
export function fakeModel(size, seed = 1) {
  const bytes = Buffer.alloc(size);
  let state = seed * 2654435761;
  for (let i = 0; i + 4 <= size; i += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE(state, i);
  }
  bytes.write("GGUF", 0, "latin1");
  return bytes;
}
