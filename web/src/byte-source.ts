/** Where a model's bytes come from: a download in progress, a picked file, a cache, memory. The engine reads the head
 *  first, then every tensor once in the order in which the file has them, in pieces of at most 4 MiB. */
export interface ByteSource {
  /** For messages: a file's name or the last part of an address. */
  readonly name: string;
  /** In bytes; known once the source is open. */
  readonly size: number;
  /** Fills `into` with bytes [offset, offset + into.length); waits for a download in progress; rejects with a readable
   *  message. One call at a time. `into` is a view of the core's memory: it must not be transferred. */
  read(offset: number, into: Uint8Array): Promise<void>;
  /** Lets go of what the source holds. Reads after it reject. */
  close(): void;
}

/** A model's folder, as Hugging Face (config.json, safetensors) or MLC has it: the engine asks for its files by name, opens
 *  the shards of weights one after the other, and reads each from front to back. */
export interface ModelFolder {
  readonly name: string;
  /** Undefined: there is no such file. `size`: what the folder itself says the file has, 0: nothing; with it the file need
   *  not be looked at before it is read. */
  open(name: string, size: number): Promise<ByteSource | undefined>;
  /** Closes its files too. */
  close(): void;
}

/** A model as a page names it; structured-cloneable, since it travels to the worker that opens it. */
export type ModelRef =
  | { /** of a .gguf, or of a model's folder */ url: string; /** lower-case hex */ sha256?: string; size?: number;
      headers?: Record<string, string>; /** of a folder: what its matrices become while they load: "q4_0", … */ quant?: string }
  | { file: Blob; name?: string }
  | { /** an entry of the page's cache */ cached: string }
  | { bytes: ArrayBuffer; name?: string }
  /** The files of a picked folder. */
  | { files: { name: string; file: Blob }[]; name?: string; quant?: string };

/** What opening and reading a source reports, for progress bars. */
export interface SourceProgress {
  /** Bytes at hand, from the network or the cache, of all. */
  received: number;
  total: number;
  from: "network" | "cache" | "file" | "memory";
  /** Bytes a second over the last seconds; 0: not known. */
  rate: number;
  /** Why it waits, for a person: "the connection was cut; trying again in 2 s"; absent: it does not. */
  note?: string;
}

/** Opens what a page named. The engine's worker calls the one it was given (see src/engine/worker.ts). */
export type OpenSource = (ref: ModelRef, onProgress?: (progress: SourceProgress) => void) => Promise<ByteSource | ModelFolder>;

export const isFolder = (opened: ByteSource | ModelFolder): opened is ModelFolder => "open" in opened;
