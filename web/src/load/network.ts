/** One request for the rest of a file, and what can be wrong with the answer. */
import { SoloError } from "../error.js";
import { bytesText, Retryable } from "./error.js";

/** Tells two versions of a file apart. Both fields may be hidden by CORS. */
export interface Validator {
  etag?: string;
  modified?: string;
}

export interface Answer extends Validator {
  body: ReadableStream<Uint8Array>;
  /** Offset of the body's first byte: where it was asked to begin, or 0 if the server cannot resume. */
  from: number;
  /** Of the whole file, in bytes; undefined: the server does not say. */
  size?: number;
}

export interface RequestOptions {
  name: string;
  headers?: Record<string, string>;
  /** Of the bytes at hand; with them the file is the same or the server sends all of it. */
  validator?: Validator;
  signal: AbortSignal;
  stallMs: number;
}

export function sameVersion(a: Validator, b: Validator): boolean {
  if (a.etag && b.etag) return a.etag === b.etag;
  return !(a.modified && b.modified) || a.modified === b.modified;
}

export async function request(url: string, from: number, options: RequestOptions): Promise<Answer> {
  const headers = new Headers(options.headers);
  if (from > 0) {
    headers.set("Range", `bytes=${from}-`);
    // Across origins If-Range would need a preflight that few servers allow; the answer's own validator is compared.
    const version = options.validator?.etag?.startsWith('"') ? options.validator.etag : options.validator?.modified;
    if (version && new URL(url).origin === self.location.origin) headers.set("If-Range", version);
  }
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), options.stallMs);
  let response: Response;
  try {
    // no-store: the browser's own cache would hold a second copy, and serve parts of an older one.
    const signal = AbortSignal.any([options.signal, late.signal]);
    response = await fetch(url, { headers, signal, cache: "no-store" });
  } catch (error) {
    options.signal.throwIfAborted();
    if (late.signal.aborted) {
      throw new Retryable(`no answer from ${new URL(url).host} for ${options.stallMs / 1000} s`);
    }
    throw await diagnose(url, from, options, error);
  } finally {
    clearTimeout(timer);
  }
  return readHead(response, from, options, url);
}

/** The server was reached and has no such file. */
export class Absent extends SoloError {}
/** It was reached and does not let this page read the file, if it has it. */
export class Refused extends SoloError {}

function readHead(response: Response, from: number, options: RequestOptions, url: string): Answer {
  const { status, headers } = response;
  const refuse = (error: Error): never => {
    void response.body?.cancel().catch(() => {});
    throw error;
  };
  const bad = (text: string) => refuse(new SoloError("FILE_IO", `${options.name}: ${text}`));
  if (status === 404 || status === 410)
    refuse(new Absent("FILE_IO", `${options.name}: there is no such file on the server (status ${status}) at ${url}`));
  if (status === 401 || status === 403) {
    const text =
      `the server wants a login or permission (status ${status}) for ${url}. If the model's terms must be accepted ` +
      `first, download the file and open it here.`;
    refuse(new Refused("FILE_IO", `${options.name}: ${text}`));
  }
  if (status === 416)
    bad(`the server has no bytes after ${bytesText(from)}, though it had said that the file is longer`);
  if (status === 429 || status >= 500) {
    refuse(new Retryable(`the server is busy or broken (status ${status})`, Number(headers.get("Retry-After")) || 0));
  }
  if (status !== 200 && status !== 206) bad(`wanted status 200 from the server, found ${status} at ${url}`);
  if (!response.body) bad("the server's answer is empty");
  const type = headers.get("Content-Type") ?? "";
  if (/text\/html/.test(type)) bad(htmlText(url));

  const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get("Content-Range") ?? "");
  if (status === 206 && range && Number(range[1]) !== from) {
    bad(`wanted bytes from ${from} on, the server sent them from ${range[1]} on`);
  }
  const begin = status === 206 ? from : 0;
  const length = headers.get("Content-Encoding") ? null : headers.get("Content-Length"); // of the coded bytes else
  const size = range ? Number(range[2]) : length === null ? undefined : begin + Number(length);
  const etag = headers.get("ETag") ?? undefined;
  const modified = headers.get("Last-Modified") ?? undefined;
  return {
    body: response.body!,
    from: begin,
    ...(size !== undefined && { size }),
    ...(etag && { etag }),
    ...(modified && { modified }),
  };
}

function htmlText(url: string): string {
  return (
    `a web page came in place of a model from ${url}: a login, an error page, or the page about the file rather than ` +
    `the file itself`
  );
}

/** fetch says only "failed": whether a server answers at all tells the network's failure from one of permission.
 *  Where bytes came before (from > 0), permission was given. */
async function diagnose(url: string, from: number, options: RequestOptions, error: unknown): Promise<Error> {
  const { host, protocol } = new URL(url);
  if (protocol === "http:" && self.location.protocol === "https:") {
    return new SoloError("FILE_IO", `${options.name}: a page served over https may not load from http://${host}`);
  }
  if (navigator.onLine === false) return new Retryable("this device is offline");
  try {
    await fetch(url, {
      method: "HEAD",
      mode: "no-cors",
      cache: "no-store",
      signal: AbortSignal.timeout(options.stallMs),
    });
  } catch {
    return new Retryable(`no connection to ${host} (${(error as Error).message})`);
  }
  if (from > 0 || new URL(url).origin === self.location.origin)
    return new Retryable(`the connection to ${host} failed`);
  return new Refused(
    "FILE_IO",
    `${options.name}: ${host} answers, but does not let this page read ${url} (no CORS: its answer lacks ` +
      `Access-Control-Allow-Origin, which some servers leave out too where there is no such file). Download the file and ` +
      `open it here, or use another server.`,
  );
}

/** A model begins with "GGUF", a file of a folder with anything. What often comes in their place is named; throws then. */
export function checkMagic(name: string, url: string, head: Uint8Array, any = false): void {
  const magic = new TextDecoder("latin1").decode(head.subarray(0, 64));
  if (magic.slice(0, 4) === "GGUF".slice(0, head.length)) return;
  const bad = (text: string) => new SoloError("FILE_FORMAT", `${name}: ${text}`);
  if (/^\s*<(!doctype|html|\?xml|head|body)/i.test(magic)) throw bad(htmlText(url));
  if (magic.startsWith("version https://git-lfs")) {
    throw bad("this is a Git LFS pointer, a note of 130 bytes, not the model that it stands for");
  }
  if (any) return;
  if (magic.startsWith("PK\x03\x04")) throw bad("this is a ZIP archive; wanted the .gguf file inside");
  const shown = /^[\x20-\x7e\r\n\t]+$/.test(magic)
    ? JSON.stringify(magic.slice(0, 24))
    : [...head.subarray(0, 4)].map((b) => b.toString(16).padStart(2, "0")).join(" ");
  throw bad(`wanted a GGUF file, which begins with "GGUF"; found ${shown}`);
}

const PIECE_BYTES = 1 << 20;

/** How pieces are read: into one buffer again and again where the browser can (BYOB), else as they come. */
function pieceReader(body: ReadableStream<Uint8Array>) {
  try {
    const reader = body.getReader({ mode: "byob" });
    let buffer = new ArrayBuffer(PIECE_BYTES);
    const read = async (): Promise<Uint8Array | undefined> => {
      const { value, done } = await reader.read(new Uint8Array(buffer));
      if (value) buffer = value.buffer;
      return done ? undefined : value;
    };
    return { read, cancel: () => reader.cancel() };
  } catch {
    const reader = body.getReader();
    return { read: async () => (await reader.read()).value, cancel: () => reader.cancel() };
  }
}

/** The body's pieces, each of use until the next is asked for; a Retryable where none comes for stallMs. The time in
 *  which nobody asks does not count. */
export async function* pieces(body: ReadableStream<Uint8Array>, stallMs: number): AsyncGenerator<Uint8Array> {
  const reader = pieceReader(body);
  try {
    for (;;) {
      let timer = 0;
      const stalled = new Promise<never>((_, reject) => {
        timer = self.setTimeout(() => reject(new Retryable(`no byte for ${stallMs / 1000} s`)), stallMs);
      });
      let piece: Uint8Array | undefined;
      try {
        piece = await Promise.race([reader.read(), stalled]);
      } catch (error) {
        throw error instanceof TypeError ? new Retryable("the connection was cut") : error;
      } finally {
        clearTimeout(timer);
      }
      if (!piece) return;
      yield piece;
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}
