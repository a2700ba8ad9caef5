/** A file on its way from the network into the cache, read while it comes. One pump writes what arrives; read()
 *  waits until its bytes are there. The pump runs at most `ahead` bytes in front of the reader, so that looking at
 *  a model's head does not fetch the model. */
import { createSHA256, type IHasher } from "hash-wasm";
import type { ByteSource, SourceProgress } from "../byte-source.js";
import type { CacheEntry } from "./cache.js";
import { SoloError } from "../error.js";
import { bytesText, Retryable } from "./error.js";
import { checkMagic, pieces, request, sameVersion, type Answer } from "./network.js";

/** Where the bytes are kept: StoredFile or MemoryFile. */
export interface Store {
  write(name: string, at: number, bytes: Uint8Array, size: number): Promise<void>;
  read(at: number, into: Uint8Array): number;
  save(entry: CacheEntry): void;
  close(): void;
}

export interface DownloadOptions {
  headers?: Record<string, string>;
  onProgress?: (progress: SourceProgress) => void;
  /** Without a byte for so long, the connection counts as dead. */
  stallMs: number;
  /** The first pause before another try; doubles up to 32 times that. */
  backoffMs: number;
  /** Tries in a row without a byte, then reading fails. */
  attempts: number;
  ahead: number;
  /** Of a folder: it need not begin as a model does, and where its size is not known (a text that was packed on the way)
   *  it is taken whole first. */
  part?: boolean;
  /** After close(); nothing of the file may be kept where entry.received is 0. */
  onEnd?: (entry: CacheEntry) => Promise<void>;
}

/** A reader may leave out what a file is padded with at its end, and is still told whether the whole is right. */
const TAIL_BYTES = 4096;
/** However long a server asks to wait. */
const MAX_PAUSE_S = 120;
const SAVE_EVERY = 32 << 20;
const REPORT_MS = 200;
/** Of a file whose size nobody says: a vocabulary, not weights. */
const MAX_HELD_BYTES = 64 << 20;

export class Download implements ByteSource {
  readonly name: string;
  private readonly meter = new Meter();
  private hasher: IHasher | undefined;
  private failure: Error | undefined;
  private changed: () => void = () => {};
  private wanted = 0; // the end of the furthest read
  private saved = 0;
  private reporting: number | undefined;
  private note = "";
  private done = false;
  private closed = false;

  private constructor(
    private readonly entry: CacheEntry,
    private readonly store: Store,
    private readonly options: DownloadOptions,
    private readonly abort: AbortController,
  ) {
    this.name = entry.name;
    this.saved = entry.received;
  }

  /** Connects, so that the size is known; `admit` may refuse it before a byte is stored. `entry` is written to. */
  static async open(
    entry: CacheEntry,
    options: DownloadOptions,
    admit: (entry: CacheEntry) => Promise<Store>,
  ): Promise<Download> {
    const wanted = entry.size;
    const abort = new AbortController();
    const first = await Download.retry(options, async () => {
      const answer = await connect(entry, options, abort.signal);
      return options.part && entry.size === 0 ? held(answer, entry, options) : answer;
    });
    if (entry.size === 0) {
      void first.body.cancel().catch(() => {});
      throw new SoloError("FILE_IO", `${entry.name}: the server does not say how long the file is (no Content-Length)`);
    }
    if (wanted > 0 && entry.size !== wanted) {
      void first.body.cancel().catch(() => {});
      throw new SoloError(
        "FILE_IO",
        `${entry.name}: wanted a file of ${wanted} bytes, the server has one of ${entry.size}`,
      );
    }
    const store = await admit(entry).catch((error) => {
      void first.body.cancel().catch(() => {});
      throw error;
    });
    const download = new Download(entry, store, options, abort);
    download.running = download.run(first);
    return download;
  }

  private running: Promise<void> = Promise.resolve();

  get size(): number {
    return this.entry.size;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    const end = offset + into.length;
    if (end > this.size) {
      throw new SoloError("FILE_IO", `${this.name}: wanted bytes up to ${end}, the file has ${this.size}`);
    }
    this.wanted = Math.max(this.wanted, end);
    for (;;) {
      this.changed();
      if (this.failure) throw this.failure;
      if (this.closed) throw new SoloError("FILE_IO", `${this.name}: was closed`);
      // The end is given out when the whole is known to be right.
      if (this.done || (end <= this.entry.received && end < this.size - TAIL_BYTES)) break;
      await this.change();
    }
    if (this.store.read(offset, into) !== into.length) {
      throw new SoloError(
        "FILE_IO",
        `${this.name}: the browser's copy of the file is cut short; delete it and load again`,
      );
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.reporting);
    this.abort.abort(new SoloError("FILE_IO", `${this.name}: was closed`));
    this.changed();
    void this.running.then(() => {
      if (!this.done && !this.failure) this.save();
      this.store.close();
      return this.options.onEnd?.(this.entry);
    });
  }

  /** Resolves at the next change of received, wanted, failure or closed. */
  private change(): Promise<void> {
    return new Promise((resolve) => {
      const others = this.changed;
      this.changed = () => {
        this.changed = () => {};
        others();
        resolve();
      };
    });
  }

  private static async retry<T>(options: DownloadOptions, what: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await what();
      } catch (error) {
        if (!(error instanceof Retryable)) throw error;
        if (attempt >= options.attempts) throw new SoloError("FILE_IO", `${error.message}, ${attempt} times in a row`);
        const seconds = pauseSeconds(options, attempt, error);
        options.onProgress?.({ received: 0, total: 0, from: "network", rate: 0, note: pauseText(error, seconds) });
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      }
    }
  }

  private async run(first: Answer): Promise<void> {
    let answer: Answer | undefined = first;
    let attempt = 0;
    await this.startHash();
    for (;;) {
      const before = this.entry.received;
      try {
        answer ??= await connect(this.entry, this.options, this.abort.signal);
        await this.receive(answer);
        await this.finish();
        return;
      } catch (error) {
        answer = undefined;
        if (this.closed) return;
        if (this.entry.received > before) attempt = 0;
        if (!(error instanceof Retryable) || ++attempt >= this.options.attempts) return this.fail(error as Error);
        this.save();
        await this.pause(error, attempt);
        if (this.closed) return;
      }
    }
  }

  private async pause(error: Retryable, attempt: number): Promise<void> {
    const seconds = pauseSeconds(this.options, attempt, error);
    this.meter.reset();
    this.note = pauseText(error, seconds);
    this.report();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.abort.signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
  }

  private async receive(answer: Answer): Promise<void> {
    const { entry, options } = this;
    let skip = entry.received - answer.from; // bytes at hand that a server without Range sends again
    if (skip > 0) {
      this.note = `the server cannot resume: the first ${bytesText(skip)} come again`;
      this.report();
    }
    let head = new Uint8Array(0); // checked at four bytes, however small the pieces
    for await (let piece of pieces(answer.body, this.options.stallMs)) {
      if (skip > 0) {
        const n = Math.min(skip, piece.length);
        skip -= n;
        piece = piece.subarray(n);
        if (piece.length === 0) continue;
      }
      if (entry.received === 0) {
        const joined = new Uint8Array(head.length + piece.length);
        joined.set(head);
        joined.set(piece, head.length);
        head = piece = joined;
        if (piece.length < 4 && piece.length < entry.size) continue;
        checkMagic(entry.name, entry.url, piece, options.part);
      }
      if (entry.received + piece.length > entry.size) {
        throw new Spoilt(`${entry.name}: the server said ${entry.size} bytes and sends more`);
      }
      await this.store.write(entry.name, entry.received, piece, entry.size);
      this.hasher?.update(piece);
      entry.received += piece.length;
      this.meter.add(piece.length);
      this.note = "";
      this.arrived();
      while (entry.received - this.wanted > this.options.ahead && !this.closed) await this.change();
      if (this.closed) return;
    }
    if (entry.received < entry.size) {
      throw new Retryable(`the connection ended after ${bytesText(entry.received)} of ${bytesText(entry.size)}`);
    }
  }

  private arrived(): void {
    this.changed();
    if (this.entry.received - this.saved >= SAVE_EVERY) this.save();
    this.reporting ??= self.setTimeout(() => this.report(), REPORT_MS);
  }

  private async startHash(): Promise<void> {
    const { entry } = this;
    if (!entry.sha256) return;
    this.hasher = await createSHA256();
    this.hasher.init();
    if (entry.received === 0) return;
    try {
      this.hasher.load(Uint8Array.from(atob(entry.hashState ?? ""), (c) => c.charCodeAt(0)));
    } catch {
      // Saved by another version of the library: hash what is there once more.
      this.hasher.init();
      const piece = new Uint8Array(4 << 20);
      for (let at = 0; at < entry.received; at += piece.length) {
        const n = this.store.read(at, piece.subarray(0, Math.min(piece.length, entry.received - at)));
        this.hasher.update(piece.subarray(0, n));
      }
    }
  }

  private async finish(): Promise<void> {
    const { entry } = this;
    if (this.closed) return;
    const found = this.hasher?.digest("hex");
    if (found && found !== entry.sha256) {
      throw new Spoilt(
        `${entry.name}: the file is damaged or another one: wanted SHA-256 ${entry.sha256}, found ${found}`,
      );
    }
    this.hasher = undefined;
    delete entry.hashState;
    entry.complete = true;
    entry.used = Date.now();
    this.store.save(entry);
    this.done = true;
    this.report();
    this.changed();
  }

  /** Nothing more will come. A file whose content is wrong is not kept. */
  private fail(error: Error): void {
    const { entry } = this;
    if (error instanceof Retryable) {
      this.save();
      error = new SoloError(
        "FILE_IO",
        `${entry.name}: ${error.message}, ${this.options.attempts} times in a row. ` +
          `${bytesText(entry.received)} of ${bytesText(entry.size)} are kept; loading again goes on from there.`,
      );
    } else if (error instanceof SoloError) {
      if (error instanceof Spoilt || error.status === "FILE_FORMAT") entry.received = 0;
      this.save();
    }
    this.failure = error;
    this.changed();
  }

  private save(): void {
    const { entry } = this;
    if (this.hasher && entry.received > 0) entry.hashState = btoa(String.fromCharCode(...this.hasher.save()));
    this.saved = entry.received;
    this.store.save(entry);
  }

  private report(): void {
    clearTimeout(this.reporting);
    this.reporting = undefined;
    this.options.onProgress?.({
      received: this.entry.received,
      total: this.entry.size,
      from: "network",
      rate: this.meter.rate(),
      ...(this.note && { note: this.note }),
    });
  }
}

/** Asks for what is missing, and settles what the answer says about version and size. */
async function connect(entry: CacheEntry, options: DownloadOptions, signal: AbortSignal): Promise<Answer> {
  const answer = await request(entry.url, entry.received, {
    name: entry.name,
    ...(options.headers && { headers: options.headers }),
    validator: entry,
    signal,
    stallMs: options.stallMs,
  });
  const size = answer.size ?? entry.size;
  if (entry.received > 0 && (!sameVersion(entry, answer) || (entry.size > 0 && size !== entry.size))) {
    void answer.body.cancel().catch(() => {});
    throw new Spoilt(
      `${entry.name}: the file on the server became another one (${bytesText(size)}, was ` +
        `${bytesText(entry.size)}) while this one was being received`,
    );
  }
  entry.size = size;
  if (answer.etag) entry.etag = answer.etag;
  if (answer.modified) entry.modified = answer.modified;
  return answer;
}

/** An answer that does not say how long it is, received whole. */
async function held(answer: Answer, entry: CacheEntry, options: DownloadOptions): Promise<Answer> {
  const all: Uint8Array<ArrayBuffer>[] = [];
  let n = 0;
  for await (const piece of pieces(answer.body, options.stallMs)) {
    all.push(piece.slice());
    if ((n += piece.length) > MAX_HELD_BYTES)
      throw new SoloError("FILE_IO", `${entry.name}: the server does not say how long the file is, and it has more than ${bytesText(MAX_HELD_BYTES)}`);
  }
  entry.size = n;
  return { ...answer, size: n, body: new Blob(all).stream() };
}

/** What was received is of no use: damaged, or of another version of the file. It is deleted. */
export class Spoilt extends SoloError {
  constructor(message: string) {
    super("FILE_IO", `${message}. What had been received is deleted.`);
  }
}

function pauseSeconds(options: DownloadOptions, attempt: number, error: Retryable): number {
  const own = (options.backoffMs / 1000) * 2 ** Math.min(attempt - 1, 5);
  return Math.max(Math.min(error.wait, MAX_PAUSE_S), own);
}

function pauseText(error: Error, seconds: number): string {
  return `${error.message}; trying again in ${seconds < 1 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

/** Bytes a second over the last five seconds. */
export class Meter {
  private samples: { time: number; bytes: number }[] = [];
  private bytes = 0;

  reset(): void {
    this.samples = [];
  }
  add(n: number): void {
    this.bytes += n;
    const now = performance.now();
    const last = this.samples[this.samples.length - 1];
    if (!last || now - last.time > 100) this.samples.push({ time: now, bytes: this.bytes });
    while (this.samples.length > 2 && now - this.samples[0]!.time > 5000) this.samples.shift();
  }
  rate(): number {
    const first = this.samples[0];
    const seconds = first ? (performance.now() - first.time) / 1000 : 0;
    return first && seconds > 0.1 ? (this.bytes - first.bytes) / seconds : 0;
  }
}
