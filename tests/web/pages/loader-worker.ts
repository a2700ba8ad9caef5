/** The loader as the engine uses it, behind messages: {id, call, args} → {id, result | error}, and {progress}. */
import { isFolder, type ByteSource, type ModelFolder, type ModelRef } from "../../../web/src/byte-source.js";
import { parseAddress } from "../../../web/src/load/address.js";
import { listCache, listModels, removeCached } from "../../../web/src/load/cache.js";
import { createOpenSource, type LoadOptions } from "../../../web/src/load/index.js";

const sources = new Map<number, ByteSource>();
let folder: ModelFolder | undefined; // opened last
let nextSource = 1;

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((b) => b.toString(16).padStart(2, "0")).join("");
}

function add(source: ByteSource) {
  sources.set(nextSource, source);
  return { source: nextSource++, size: source.size, name: source.name };
}

const calls = {
  async open(ref: ModelRef, options: LoadOptions) {
    const source = await createOpenSource({ stallMs: 1000, backoffMs: 50, attempts: 4, ...options })(ref, (progress) =>
      postMessage({ progress }),
    );
    if (isFolder(source)) {
      folder = source;
      return { name: source.name };
    }
    return add(source);
  },
  async openIn(name: string, size = 0) {
    const source = await folder!.open(name, size);
    return source && add(source);
  },
  closeFolder: async () => folder!.close(),
  /** As the engine reads: in order, in pieces; the SHA-256 of all. */
  async readAll(id: number, piece = 4 << 20) {
    const source = sources.get(id)!;
    const all = new Uint8Array(source.size);
    for (let at = 0; at < all.length; at += piece)
      await source.read(at, all.subarray(at, Math.min(at + piece, all.length)));
    return sha256(all);
  },
  /** The same, with one piece of memory: what a model of any size costs the page. */
  async drain(id: number, piece = 4 << 20) {
    const source = sources.get(id)!;
    const into = new Uint8Array(piece);
    for (let at = 0; at < source.size; at += piece) await source.read(at, into.subarray(0, Math.min(piece, source.size - at)));
  },
  async read(id: number, at: number, n: number) {
    const into = new Uint8Array(n);
    await sources.get(id)!.read(at, into);
    return sha256(into);
  },
  async close(id: number) {
    sources.get(id)!.close();
    sources.delete(id);
    await new Promise((resolve) => setTimeout(resolve, 50));
  },
  parse: async (text: string, hub: string) => parseAddress(text, self.location.href, hub),
  list: () => listCache(),
  models: () => listModels(),
  remove: (id: string) => removeCached(id),
  /** As in a private window: nothing can be stored. */
  noStorage() {
    Object.defineProperty(navigator.storage, "getDirectory", {
      value: () => Promise.reject(new DOMException("no", "SecurityError")),
    });
  },
};

onmessage = async ({ data: { id, call, args } }) => {
  try {
    postMessage({ id, result: await (calls[call as keyof typeof calls] as (...a: unknown[]) => unknown)(...args) });
  } catch (error) {
    postMessage({ id, error: `${(error as Error).message}` });
  }
};
