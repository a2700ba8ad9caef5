/** What a person reads when a model does not load: what was wanted, what was found, where. `status` is one of the C
 *  library's, so that the page treats these and the engine's own alike. */
export type LoadStatus = "FILE_IO" | "FILE_FORMAT" | "MEMORY" | "ARGUMENT";

export class LoadError extends Error {
  override readonly name = "SoloError";
  constructor(
    readonly status: LoadStatus,
    message: string,
  ) {
    super(message);
  }
}

/** Worth another try: the connection dropped, stalled, or the server was busy. */
export class Retryable extends Error {
  constructor(
    message: string,
    /** Seconds that the server asked for; 0: none. */
    readonly wait = 0,
  ) {
    super(message);
  }
}

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** 98362432 as "98.4 MB". */
export function bytesText(n: number): string {
  let unit = 0;
  while (n >= 999.5 && unit < UNITS.length - 1) {
    n /= 1000;
    unit++;
  }
  return `${unit === 0 ? n : n.toFixed(n < 9.995 ? 2 : n < 99.95 ? 1 : 0)} ${UNITS[unit]}`;
}
