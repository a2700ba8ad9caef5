/** Opens what a page named: an address, a picked file, a kept model. Runs in the engine's Worker. */
import type { ByteSource, ModelFolder, ModelRef, OpenSource, SourceProgress } from "../byte-source.js";
import { blobSource, folderAt, folderOf, isReadable } from "../folder.js";
import { askHub, HUB, parseAddress } from "./address.js";
import {
  cacheId,
  cacheWorks,
  hold,
  MemoryFile,
  openComplete,
  readEntry,
  removeFiles,
  StoredFile,
  type CacheEntry,
  type Hold,
} from "./cache.js";
import { Download, Spoilt, type DownloadOptions } from "./download.js";
import { SoloError } from "../error.js";
import { bytesText } from "./error.js";
import { Absent, checkMagic, Refused } from "./network.js";

export interface LoadOptions {
  stallMs?: number;
  backoffMs?: number;
  attempts?: number;
  /** Bytes received in front of the reader. */
  ahead?: number;
  /** The largest model that is held in memory where the browser stores no files. */
  memoryLimit?: number;
  hub?: string;
}
type Settings = Required<LoadOptions>;
type OnProgress = (progress: SourceProgress) => void;

const DEFAULTS: Settings = {
  stallMs: 20_000,
  backoffMs: 1000,
  attempts: 6,
  ahead: 64 << 20,
  memoryLimit: 1_000_000_000,
  hub: HUB,
};

export function createOpenSource(options: LoadOptions = {}): OpenSource {
  const settings = { ...DEFAULTS, ...options };
  return async (ref: ModelRef, onProgress: OnProgress = () => {}): Promise<ByteSource | ModelFolder> => {
    if ("bytes" in ref) return openBytes(ref.bytes, ref.name ?? "(memory)", onProgress);
    if ("file" in ref) return openFile(ref.file, ref.name ?? (ref.file as File).name ?? "(file)", onProgress);
    if ("cached" in ref) return openKept(ref.cached, settings, onProgress);
    if ("files" in ref) return folderOf(ref.files, ref.name ?? "(folder)");
    const { folder, url, name } = parseAddress(ref.url, self.location.href, settings.hub);
    return folder ? openFolder(url, name, ref, settings, onProgress) : openAddress(ref, settings, onProgress);
  };
}

function openBytes(buffer: ArrayBuffer, name: string, onProgress: OnProgress): ByteSource {
  const bytes = new Uint8Array(buffer);
  onProgress({ received: bytes.length, total: bytes.length, from: "memory", rate: 0 });
  return {
    name,
    size: bytes.length,
    read: async (at, into) => {
      within(name, bytes.length, at, into);
      into.set(bytes.subarray(at, at + into.length));
    },
    close: () => {},
  };
}

function within(name: string, size: number, at: number, into: Uint8Array): void {
  if (at + into.length > size) {
    throw new SoloError("FILE_IO", `${name}: wanted bytes up to ${at + into.length}, the file has ${size}`);
  }
}

async function openFile(file: Blob, name: string, onProgress: OnProgress): Promise<ByteSource> {
  const source = blobSource(name, file);
  const head = new Uint8Array(Math.min(64, file.size));
  await source.read(0, head);
  checkMagic(name, name, head);
  onProgress({ received: file.size, total: file.size, from: "file", rate: 0 });
  return source;
}

async function openKept(id: string, settings: Settings, onProgress: OnProgress): Promise<ByteSource> {
  const entry = await readEntry(id);
  if (!entry) throw new SoloError("FILE_IO", `the model ${id} is no longer kept in this browser`);
  return openAddress({ url: entry.url, ...(entry.sha256 && { sha256: entry.sha256 }) }, settings, onProgress);
}

type UrlRef = Extract<ModelRef, { url: string }>;

/** Each of its files as a model of its own, kept and resumed like one. */
function openFolder(base: string, name: string, ref: UrlRef, settings: Settings, onProgress: OnProgress): ModelFolder {
  const headers = ref.headers && { headers: ref.headers };
  return folderAt(
    base,
    name,
    async (url, size, report) => {
      const id = await cacheId(url);
      const absent = (await cacheWorks()) && (await readEntry(id))?.absent === true;
      try {
        // What was absent may have come; without the network it is still absent.
        const asked = absent ? { ...settings, attempts: 1 } : settings;
        const source = await openAddress({ url, ...headers, ...(size && { size }) }, asked, report, base);
        return { source, kept: !(source instanceof Download) };
      } catch (error) {
        const missing = error instanceof Absent || (error instanceof Refused && (await isReadable(base, ref.headers)));
        if (!missing && !absent) throw error;
        await noteAbsent(id, url, base); // again: the try took the note away
        return undefined;
      }
    },
    onProgress,
  );
}

async function noteAbsent(id: string, url: string, folder: string): Promise<void> {
  if (!(await cacheWorks())) return;
  const lock = (await hold(id, "exclusive"))!;
  const name = decodeURIComponent(url.slice(folder.length));
  try {
    const store = await StoredFile.open(id, name, 0, 0);
    store.save({ id, url, name, folder, size: 0, received: 0, complete: false, absent: true, used: Date.now() });
    store.close();
  } finally {
    lock.release();
  }
}

async function openAddress(ref: UrlRef, settings: Settings, onProgress: OnProgress, folder?: string): Promise<ByteSource> {
  const address = parseAddress(ref.url, self.location.href, settings.hub, folder !== undefined);
  const entry: CacheEntry = {
    id: "",
    url: address.url,
    name: address.name,
    size: ref.size ?? 0,
    received: 0,
    complete: false,
    used: Date.now(),
    ...(folder && { folder }),
  };
  const sha256 = ref.sha256 ?? address.sha256;
  if (sha256) entry.sha256 = sha256.toLowerCase();
  const part = folder !== undefined;
  const download: DownloadOptions = { ...settings, part, onProgress, ...(ref.headers && { headers: ref.headers }) };
  const learn = async () => {
    // from the hub, and only when the network is used at all
    if (entry.sha256 || !address.hub) return;
    const said = await askHub(settings.hub, address.hub, ref.headers);
    if (!said) return;
    entry.sha256 = said.sha256;
    if (said.size) entry.size = said.size;
  };
  if (!(await cacheWorks())) {
    await learn();
    return Download.open(entry, download, async ({ name, size }) => {
      if (size <= settings.memoryLimit) return new MemoryFile(size);
      throw new SoloError(
        "MEMORY",
        `${name}: this browser lets the page store no files (a private window?), so the model ` +
          `must fit ${bytesText(settings.memoryLimit)} of memory; it has ${bytesText(size)}`,
      );
    });
  }
  entry.id = await cacheId(address.url);
  return openCached(entry, download, learn);
}

/** From the cache where it is complete, else the rest from the network, alone among all tabs. */
async function openCached(
  fresh: CacheEntry,
  options: DownloadOptions,
  learn: () => Promise<void>,
): Promise<ByteSource> {
  for (;;) {
    const before = usable(await readEntry(fresh.id), fresh);
    const lock = await waitFor(fresh, before?.complete ? "shared" : "exclusive", options.onProgress);
    try {
      const now = usable(await readEntry(fresh.id), fresh);
      if (before?.complete && now?.complete) return await openStored(now, lock, options.onProgress);
      if (!before?.complete && !now?.complete) {
        if (!now) await learn();
        return await openDownload(now ?? { ...fresh }, options, lock);
      }
    } catch (error) {
      lock.release();
      if (!(error instanceof Spoilt)) throw error;
      continue; // nothing was read yet, and the entry is gone: from the start
    }
    lock.release(); // another tab finished or deleted it meanwhile: look again
  }
}

/** An entry of the same content as asked for, as far as one can tell. */
function usable(entry: CacheEntry | undefined, fresh: CacheEntry): CacheEntry | undefined {
  if (!entry) return undefined;
  if (entry.absent) return undefined;
  const other = (fresh.sha256 && entry.sha256 !== fresh.sha256) || (fresh.size > 0 && entry.size !== fresh.size);
  return other ? undefined : entry;
}

async function waitFor(entry: CacheEntry, mode: LockMode, onProgress?: OnProgress): Promise<Hold> {
  const now = await hold(entry.id, mode, { ifAvailable: true });
  if (now) return now;
  const timer = setInterval(async () => {
    if (entry.absent) return undefined;
  const other = await readEntry(entry.id);
    onProgress?.({
      received: other?.received ?? 0,
      total: other?.size ?? 0,
      from: "network",
      rate: 0,
      note: "another tab is loading this model; waiting for it",
    });
  }, 500);
  try {
    return (await hold(entry.id, mode))!;
  } finally {
    clearInterval(timer);
  }
}

async function openStored(entry: CacheEntry, lock: Hold, onProgress?: OnProgress): Promise<ByteSource> {
  const file = await openComplete(entry.id).catch((error: Error) => {
    throw new SoloError(
      "FILE_IO",
      `${entry.name}: the browser's copy cannot be opened (${error.message}); delete it and load again`,
    );
  });
  onProgress?.({ received: entry.size, total: entry.size, from: "cache", rate: 0 });
  let open = true;
  return {
    name: entry.name,
    size: entry.size,
    read: async (at, into) => {
      within(entry.name, entry.size, at, into);
      const n = await file.read(at, into).catch(() => 0);
      if (n !== into.length) {
        throw new SoloError(
          "FILE_IO",
          `${entry.name}: the browser's copy is cut short or gone; delete it and load again`,
        );
      }
    },
    close: () => {
      if (!open) return;
      open = false;
      file.close();
      lock.release();
    },
  };
}

async function openDownload(entry: CacheEntry, options: DownloadOptions, lock: Hold): Promise<ByteSource> {
  const end = async (left: CacheEntry) => {
    if (left.received === 0) await removeFiles(left.id);
    lock.release();
  };
  try {
    return await Download.open(entry, { ...options, onEnd: end }, async ({ id, name, size, received }) => {
      const store = await StoredFile.open(id, name, size, received);
      store.save(entry);
      return store;
    });
  } catch (error) {
    if (error instanceof Spoilt || entry.received === 0) await removeFiles(entry.id);
    throw error;
  }
}
