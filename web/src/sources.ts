/** Byte sources without a cache: a file that was picked, memory, an address. */
import type { ByteSource, ModelRef, OpenSource } from "./byte-source.js";

function ofBlob(name: string, blob: Blob): ByteSource {
  return {
    name,
    size: blob.size,
    async read(offset, into) {
      into.set(new Uint8Array(await blob.slice(offset, offset + into.length).arrayBuffer()));
    },
    close() {},
  };
}

const nameOf = (url: string): string => decodeURIComponent(new URL(url).pathname.split("/").pop() || url);

/** One request after another with Range; a server that ignores Range is read as one stream, forwards only. */
async function ofUrl(ref: { url: string; headers?: Record<string, string> }): Promise<ByteSource> {
  const url = new URL(ref.url, self.location.href).href;
  const name = nameOf(url);
  const fail = (what: string): Error => new Error(`${name}: ${what}`);
  const get = async (range?: string): Promise<Response> => {
    const response = await fetch(url, { headers: { ...ref.headers, ...(range ? { Range: range } : {}) } }).catch(() => null);
    if (!response) throw fail("the server did not answer (or forbids this page to read: no CORS)");
    if (!response.ok) throw fail(`wanted the file, found HTTP ${response.status}`);
    return response;
  };
  const first = await get("bytes=0-0");
  if (first.status === 206) {
    const size = Number(/\/(\d+)$/.exec(first.headers.get("Content-Range") ?? "")?.[1]);
    await first.arrayBuffer();
    if (!size) throw fail("wanted Content-Range with the file's size, found none");
    return {
      name,
      size,
      async read(offset, into) {
        const response = await get(`bytes=${offset}-${offset + into.length - 1}`);
        const bytes = new Uint8Array(await response.arrayBuffer());
        if (bytes.length !== into.length) throw fail(`wanted ${into.length} bytes at ${offset}, found ${bytes.length}`);
        into.set(bytes);
      },
      close() {},
    };
  }
  await first.body?.cancel();
  return ofBlob(name, await (await get()).blob());
}

export const openSource: OpenSource = async (ref: ModelRef) => {
  if ("file" in ref) return ofBlob(ref.name ?? (ref.file as File).name ?? "(file)", ref.file);
  if ("bytes" in ref) return ofBlob(ref.name ?? "(memory)", new Blob([ref.bytes]));
  if ("url" in ref) return ofUrl(ref);
  throw new Error(`${ref.cached}: this build has no cache`);
};
