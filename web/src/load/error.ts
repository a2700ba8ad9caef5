/** What loading says of bytes and of servers. */

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
