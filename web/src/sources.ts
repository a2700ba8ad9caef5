/** Byte sources without a cache: files that were picked, memory, addresses. */
import { SoloError } from "./error.js";
import type { ByteSource, ModelRef, OpenSource } from "./byte-source.js";
import { blobSource, folderAt, folderOf, isReadable, type OpenPart } from "./folder.js";
import { parseAddress } from "./load/address.js";

const nameOf = (url: string): string => decodeURIComponent(new URL(url).pathname.split("/").pop() || url);

/** A gap that is read over rather than asked around: between tensors there are a few bytes of padding. */
const SKIP_BYTES = 1 << 20;

/** One answer of a server, read forwards through one buffer that goes back and forth: arrays of each piece, or an answer for
 *  each, would pile up in the page's memory until they are collected. */
class Stream {
  readonly #reader: ReadableStreamBYOBReader;
  #buffer = new ArrayBuffer(1 << 20);
  #rest = new Uint8Array(); // read, not yet taken
  at: number;

  constructor(body: ReadableStream<Uint8Array>, at: number) {
    this.#reader = body.getReader({ mode: "byob" });
    this.at = at;
  }
  /** n bytes, to `into` or nowhere; false: the answer ended. */
  async take(n: number, into?: Uint8Array): Promise<boolean> {
    for (let done = 0; done < n; ) {
      if (this.#rest.length === 0) {
        const { value } = await this.#reader.read(new Uint8Array(this.#buffer));
        if (!value || value.length === 0) return false;
        this.#buffer = value.buffer as ArrayBuffer;
        this.#rest = value;
      }
      const piece = this.#rest.subarray(0, n - done);
      into?.set(piece, done);
      this.#rest = this.#rest.subarray(piece.length);
      this.at += piece.length;
      done += piece.length;
    }
    return true;
  }
  close(): void {
    void this.#reader.cancel().catch(() => {});
  }
}

/** Read as one stream as long as reads go forwards; from elsewhere on by another request with Range, where the server has it. */
async function ofUrl(ref: { url: string; headers?: Record<string, string> }, holdBytes = 0): Promise<ByteSource> {
  const url = new URL(ref.url, self.location.href).href;
  const name = nameOf(url);
  const fail = (what: string): Error => new SoloError("FILE_IO", `${name}: ${what}`);
  const get = async (range: string): Promise<Response> => {
    const response = await fetch(url, { headers: { ...ref.headers, Range: range } }).catch(() => null);
    if (!response) throw new Missing("FILE_IO", `${name}: the server did not answer (or forbids this page to read: no CORS)`);
    if ([401, 403, 404, 410].includes(response.status))
      throw new Missing("FILE_IO", `${name}: wanted the file, found HTTP ${response.status} at ${url}`);
    if (!response.ok || !response.body) throw fail(`wanted the file, found HTTP ${response.status}`);
    return response;
  };
  const first = await get("bytes=0-");
  const ranged = /\/(\d+)$/.exec(first.headers.get("Content-Range") ?? "")?.[1];
  const size = Number(ranged ?? first.headers.get("Content-Length"));
  if (!size || size <= holdBytes) {
    return blobSource(name, await first.blob()); // a server that does not say how long it is, or a file that is read here and there
  }
  let stream = new Stream(first.body!, 0);
  return {
    name,
    size,
    async read(offset, into) {
      if (offset < stream.at || offset > stream.at + SKIP_BYTES) {
        stream.close();
        const response = await get(`bytes=${offset}-`);
        stream = new Stream(response.body!, response.status === 206 ? offset : 0);
      }
      const from = stream.at;
      if (!(await stream.take(offset - from)) || !(await stream.take(into.length, into)))
        throw fail(`wanted ${size} bytes, found ${stream.at}: the server ended its answer`);
    },
    close() {
      stream.close();
    },
  };
}

/** The server does not give the file, which may be since it has none. */
class Missing extends SoloError {}

/** A file of a folder of up to so many bytes is held while it is read: weights and their scales are asked for by turns. */
const HOLD_BYTES = 64 << 20;

const openPart = (base: string, headers?: Record<string, string>): OpenPart => async (url) => {
  try {
    return { source: await ofUrl({ url, ...(headers && { headers }) }, HOLD_BYTES), kept: false };
  } catch (error) {
    if (error instanceof Missing && (await isReadable(base, headers))) return undefined;
    throw error;
  }
};

export const openSource: OpenSource = async (ref: ModelRef) => {
  if ("file" in ref) return blobSource(ref.name ?? (ref.file as File).name ?? "(file)", ref.file);
  if ("bytes" in ref) return blobSource(ref.name ?? "(memory)", new Blob([ref.bytes]));
  if ("files" in ref) return folderOf(ref.files, ref.name ?? "(folder)");
  if ("url" in ref) {
    const { folder, url, name } = parseAddress(ref.url, self.location.href);
    return folder ? folderAt(url, name, openPart(url, ref.headers)) : ofUrl(ref);
  }
  throw new SoloError("UNSUPPORTED", `${ref.cached}: wanted an address, a file or bytes, found an entry of a cache; this build has none`);
};
