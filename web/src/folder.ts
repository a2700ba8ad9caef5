/** A model's folder: at an address, or picked. Which files it has, the engine asks; here they are opened, few at a time. */
import type { ByteSource, ModelFolder, SourceProgress } from "./byte-source.js";
import { SoloError } from "./error.js";

/** Opens a file of the folder; undefined: there is none. `kept`: it is at hand as a whole, and may stay open beside others. */
export type OpenPart = (
  url: string,
  size: number,
  onProgress: (progress: SourceProgress) => void,
) => Promise<{ source: ByteSource; kept: boolean } | undefined>;

/** Some servers refuse what they do not have, or leave out that a page may read the answer. Whether this one lets the page read
 *  the folder at all shows in a file that every folder has. */
export async function isReadable(base: string, headers?: Record<string, string>): Promise<boolean> {
  const answer = await fetch(`${base}tokenizer.json`, { method: "HEAD", cache: "no-store", ...(headers && { headers }) }).catch(() => null);
  return answer?.ok === true;
}

/** Connections at a time: weights and their scales may lie in two files. */
const MAX_OPEN = 2;

/** One file, whose connection may be taken from it between two reads. */
class Part implements ByteSource {
  received = 0;
  rate = 0;
  source: ByteSource | undefined;
  kept = false;
  constructor(
    readonly name: string,
    public size: number,
    private readonly connect: (part: Part) => Promise<boolean>,
  ) {}

  async read(offset: number, into: Uint8Array): Promise<void> {
    if (!(await this.connect(this))) throw new SoloError("FILE_IO", `${this.name}: is no longer there`);
    await this.source!.read(offset, into);
  }
  close(): void {
    this.source?.close();
    this.source = undefined;
  }
}

/** The folder at `base`, which ends in "/". What is reported is the sum of its files, as far as they are known. */
export function folderAt(base: string, name: string, open: OpenPart, onProgress: (progress: SourceProgress) => void = () => {}): ModelFolder {
  const parts: Part[] = [];
  let connected: Part[] = []; // not kept; used last: last
  let closed = false;

  function report(part: Part, said: SourceProgress): void {
    if (said.total > 0) [part.received, part.size] = [said.received, said.total]; // 0: it is not known yet
    part.rate = said.rate;
    const sum = (of: (each: Part) => number) => parts.reduce((all, each) => all + of(each), 0);
    const rate = connected.reduce((all, each) => all + each.rate, 0);
    onProgress({ ...said, received: sum((each) => each.received), total: sum((each) => each.size), rate });
  }

  async function connect(part: Part): Promise<boolean> {
    if (closed) throw new SoloError("FILE_IO", `${name}: was closed`);
    if (!part.source) {
      connected.slice(0, -(MAX_OPEN - 1)).forEach((each) => each.close());
      connected = connected.filter((each) => each.source);
      const opened = await open(base + encodeURIComponent(part.name), part.size, (said) => report(part, said));
      if (!opened) return false;
      part.source = opened.source;
      part.kept = opened.kept;
      part.size = opened.source.size;
    }
    if (!part.kept) connected = [...connected.filter((each) => each !== part), part];
    return true;
  }

  return {
    name,
    async open(file, size) {
      const known = parts.find((each) => each.name === file);
      if (known) return known;
      const part = new Part(file, size, connect);
      if (size === 0 && !(await connect(part))) return undefined;
      parts.push(part);
      return part;
    },
    close() {
      closed = true;
      parts.forEach((part) => part.close());
    },
  };
}

/** A file that was picked. */
export function blobSource(name: string, blob: Blob): ByteSource {
  return {
    name,
    size: blob.size,
    async read(offset, into) {
      const bytes = await blob.slice(offset, offset + into.length).arrayBuffer().catch((error: Error) => {
        throw new SoloError("FILE_IO", `${name}: could not be read (${error.message}); was it moved or changed?`);
      });
      if (bytes.byteLength !== into.length)
        throw new SoloError("FILE_IO", `${name}: wanted bytes up to ${offset + into.length}, the file has ${blob.size}`);
      into.set(new Uint8Array(bytes));
    },
    close() {},
  };
}

/** A folder that was picked: what lies in it, not in folders of it. */
export function folderOf(files: { name: string; file: Blob }[], name: string): ModelFolder {
  return {
    name,
    async open(wanted) {
      const found = files.find((each) => each.name === wanted);
      return found && blobSource(wanted, found.file);
    },
    close() {},
  };
}
