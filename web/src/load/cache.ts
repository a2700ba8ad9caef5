/** Models kept in the browser's private file system (OPFS). Each has two files, ID.bin and ID.json; a Web Lock of
 *  the same id keeps tabs apart: exclusive while a model is written or deleted, shared while a complete one is
 *  read.
 *
 *  *  Listing and deleting work anywhere; writing needs a Worker (createSyncAccessHandle). */
import { SoloError } from "../error.js";
import { folderName } from "./address.js";
import { bytesText } from "./error.js";
import type { Validator } from "./network.js";

const FOLDER = "solo-models";

export interface CacheEntry extends Validator {
  id: string;
  url: string;
  name: string;
  size: number;
  /** Bytes that are there, from the first on. */
  received: number;
  complete: boolean;
  sha256?: string;
  /** Of the bytes received, base64: where hashing goes on. */
  hashState?: string;
  /** Milliseconds since 1970. */
  used: number;
  /** The address of the folder that it is a file of. */
  folder?: string;
  /** There was no such file in the folder when the server was last asked. */
  absent?: boolean;
}

async function folder(): Promise<FileSystemDirectoryHandle> {
  return (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });
}

/** False in some private windows and where the page is not served securely. */
export async function cacheWorks(): Promise<boolean> {
  try {
    await folder();
    return typeof navigator.locks?.request === "function";
  } catch {
    return false;
  }
}

export async function cacheId(url: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(url)));
  return [...digest.subarray(0, 12)].map((b) => b.toString(16).padStart(2, "0")).join("");
}

export async function readEntry(id: string): Promise<CacheEntry | undefined> {
  try {
    const file = await (await (await folder()).getFileHandle(`${id}.json`)).getFile();
    const entry = JSON.parse(await file.text()) as CacheEntry;
    return entry.id === id ? entry : undefined;
  } catch {
    return undefined; // not there, or a tab ended while it wrote: as if nothing had been received
  }
}

/** What stands in the list in place of a folder's files. */
export interface KeptModel {
  /** Of its files. */
  ids: string[];
  url: string;
  name: string;
  isFolder: boolean;
  size: number;
  received: number;
  complete: boolean;
}

/** Models, a folder being one; latest used first. */
export async function listModels(): Promise<KeptModel[]> {
  const models = new Map<string, KeptModel>();
  for (const { id, url, name, folder, size, received, complete, absent } of await listCache()) {
    const key = folder ?? url;
    const known = models.get(key);
    const model = known ?? {
      ids: [],
      url: key,
      name: folder ? folderName(new URL(folder)) : name,
      isFolder: folder !== undefined,
      size: 0,
      received: 0,
      complete: true,
    };
    model.ids.push(id);
    model.size += size;
    model.received += received;
    model.complete &&= complete || absent === true;
    models.set(key, model);
  }
  return [...models.values()];
}

/** Files; latest used first. */
export async function listCache(): Promise<CacheEntry[]> {
  if (!(await cacheWorks())) return [];
  const found: CacheEntry[] = [];
  for await (const name of (await folder()).keys()) {
    const entry = name.endsWith(".json") ? await readEntry(name.slice(0, -5)) : undefined;
    if (entry) found.push(entry);
  }
  return found.sort((a, b) => b.used - a.used);
}

export async function removeCached(id: string): Promise<void> {
  const lock = await hold(id, "exclusive", { ifAvailable: true });
  if (!lock) {
    const entry = await readEntry(id);
    throw new SoloError("FILE_IO", `${entry?.name ?? id} is being loaded, here or in another tab: stop that first`);
  }
  try {
    await removeFiles(id);
  } finally {
    lock.release();
  }
}

/** The caller holds the exclusive lock. */
export async function removeFiles(id: string): Promise<void> {
  const where = await folder();
  for (const name of [`${id}.json`, `${id}.bin`]) await where.removeEntry(name).catch(() => {});
}

export interface Hold {
  release(): void;
}

/** A Web Lock as an object. Undefined: not available now (only with ifAvailable). */
export function hold(
  id: string,
  mode: LockMode,
  options: { ifAvailable?: boolean; signal?: AbortSignal } = {},
): Promise<Hold | undefined> {
  return new Promise((resolve, reject) => {
    const ask: LockOptions = options.ifAvailable ? { mode, ifAvailable: true } : { mode, signal: options.signal! };
    if (!options.ifAvailable && !options.signal) delete ask.signal;
    navigator.locks
      .request(`${FOLDER}/${id}`, ask, (lock) => {
        if (!lock) return resolve(undefined);
        return new Promise<void>((release) => resolve({ release }));
      })
      .catch(reject);
  });
}

/** Room is asked for before the first byte comes. What estimate() says is a guess, and in some browsers a fixed
 *  number. */
async function quotaError(name: string, wanted: number, free: number): Promise<SoloError> {
  const { usage = 0 } = await navigator.storage.estimate();
  return new SoloError(
    "FILE_IO",
    `${name}: wanted room for ${bytesText(wanted)} in this browser's storage, found about ` +
      `${bytesText(free)} (this site uses ${bytesText(usage)}). Delete kept models, or free disk space.`,
  );
}

/** The two files of one model, open for writing. The caller holds the exclusive lock and gives it up after close(). */
export class StoredFile {
  private constructor(
    private readonly data: FileSystemSyncAccessHandle,
    private readonly note: FileSystemSyncAccessHandle,
  ) {}

  /** Makes room for all of `size`; the first `received` bytes are kept. */
  static async open(id: string, name: string, size: number, received: number): Promise<StoredFile> {
    const where = await folder();
    const handle = async (file: string) => (await where.getFileHandle(file, { create: true })).createSyncAccessHandle();
    const data = await handle(`${id}.bin`);
    try {
      const free = reserve(data, size, received);
      if (free < size - received) throw await quotaError(name, size - received, free);
      return new StoredFile(data, await handle(`${id}.json`));
    } catch (error) {
      data.close();
      throw error;
    }
  }

  async write(name: string, at: number, bytes: Uint8Array, size: number): Promise<void> {
    try {
      if (this.data.write(bytes, { at }) === bytes.length) return;
    } catch (error) {
      if ((error as Error).name !== "QuotaExceededError") {
        throw new SoloError(
          "FILE_IO",
          `${name}: writing to this browser's storage failed: ${(error as Error).message}`,
        );
      }
    }
    throw await quotaError(name, size - at, 0);
  }

  read(at: number, into: Uint8Array): number {
    return this.data.read(into, { at });
  }

  /** The data first: the note may not promise bytes that are not there. */
  save(entry: CacheEntry): void {
    this.data.flush();
    const text = new TextEncoder().encode(JSON.stringify(entry));
    this.note.truncate(text.length);
    this.note.write(text, { at: 0 });
    this.note.flush();
  }

  close(): void {
    this.data.close();
    this.note.close();
  }
}

/** Gives the file its whole size, which counts as used from then on. Where that is refused, the bytes that could be
 *  added. */
function reserve(data: FileSystemSyncAccessHandle, size: number, received: number): number {
  const grow = (to: number) => {
    try {
      data.truncate(to);
      return true;
    } catch (error) {
      if ((error as Error).name !== "QuotaExceededError") throw error;
      return false;
    }
  };
  if (grow(size)) return size - received;
  let [fits, more] = [received, size];
  for (let i = 0; i < 8; i++) {
    const middle = Math.floor((fits + more) / 2);
    if (grow(middle)) fits = middle;
    else more = middle;
  }
  data.truncate(received);
  return fits - received;
}

/** In place of StoredFile where nothing can be stored. */
export class MemoryFile {
  private readonly data: Uint8Array;
  constructor(size: number) {
    this.data = new Uint8Array(size);
  }
  async write(_name: string, at: number, bytes: Uint8Array): Promise<void> {
    this.data.set(bytes, at);
  }
  read(at: number, into: Uint8Array): number {
    into.set(this.data.subarray(at, at + into.length));
    return into.length;
  }
  save(): void {}
  close(): void {}
}

/** A complete model, for reading; many tabs may. */
export async function openComplete(
  id: string,
): Promise<{ read(at: number, into: Uint8Array): Promise<number>; close(): void }> {
  const file = await (await folder()).getFileHandle(`${id}.bin`);
  try {
    // Browsers that do not know the mode open it for one reader alone, and the next one takes the slower way.
    const handle = await file.createSyncAccessHandle({ mode: "read-only" });
    return {
      read: async (at, into) => handle.read(into, { at }),
      close: () => handle.close(),
    };
  } catch {
    const blob = await file.getFile();
    return {
      read: async (at, into) => {
        const bytes = new Uint8Array(await blob.slice(at, at + into.length).arrayBuffer());
        into.set(bytes);
        return bytes.length;
      },
      close: () => {},
    };
  }
}
