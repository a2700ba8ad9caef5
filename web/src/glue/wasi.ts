/** The four functions of WASI that the C library still wants: a clock, and what stands behind its output. */
import type { Memory } from "./memory.js";

const BADF = 8;

export function wasiImports(memory: () => Memory, say: (text: string) => void): Record<string, (...args: never[]) => number> {
  return {
    clock_time_get: (_clock: number, _precision: bigint, out: number) => {
      memory().view.setBigUint64(out, BigInt(Math.round(performance.now() * 1e6)), true);
      return 0;
    },
    /** Only the last words before an assertion aborts are written: to standard error. */
    fd_write: (fd: number, iovs: number, count: number, written: number) => {
      if (fd !== 1 && fd !== 2) return BADF;
      let total = 0;
      for (let i = 0; i < count; i++) {
        const at = memory().u32(iovs + 8 * i);
        const n = memory().u32(iovs + 8 * i + 4);
        say(new TextDecoder().decode(memory().bytes.slice(at, at + n)));
        total += n;
      }
      memory().setU32(written, total);
      return 0;
    },
    fd_close: () => BADF,
    fd_seek: () => BADF,
  };
}
