/** Where a model's bytes come from: a download in progress, a picked file, a cache, memory. The engine reads the head
 *  first, then every tensor once in the order in which the file has them, in pieces of at most 4 MiB. */
export interface ByteSource {
  /** For messages: a file's name or the last part of an address. */
  readonly name: string;
  /** In bytes; known once the source is open. */
  readonly size: number;
  /** Fills `into` with bytes [offset, offset + into.length); waits for a download in progress; rejects with a readable
   *  message. One call at a time. `into` is never shared and never resized while the call runs. */
  read(offset: number, into: Uint8Array): Promise<void>;
  /** Lets go of what the source holds. Reads after it reject. */
  close(): void;
}

/** A model as a page names it; structured-cloneable, since it travels to the worker that opens it. */
export type ModelRef =
  | { url: string; /** lower-case hex */ sha256?: string; size?: number; headers?: Record<string, string> }
  | { file: Blob; name?: string }
  | { /** an entry of the page's cache */ cached: string }
  | { bytes: ArrayBuffer; name?: string };

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
export type OpenSource = (ref: ModelRef, onProgress?: (progress: SourceProgress) => void) => Promise<ByteSource>;
