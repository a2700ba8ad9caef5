/** Sweeps: the program's own code for specs, rows and curves (src/cli/sweep_*.c), called in the core. JSON passes as text. */
import type { SweepCurves, SweepHead, SweepRow, SweepSpec } from "../api.js";
import type { Core } from "./core.js";

/** Takes malloc'd text. */
function takeJson<T>(core: Core, at: number): T {
  try {
    return JSON.parse(core.memory.cString(at)) as T;
  } finally {
    core.memory.free(at);
  }
}

async function withSpec<T>(core: Core, text: string, where: string, quick: boolean, call: (spec: number) => Promise<T>): Promise<T> {
  const { memory } = core;
  const owned = [memory.newCString(text), memory.newCString(where), memory.alloc(memory.number("solo_error"))];
  try {
    const spec = core.callNow("solo_web_sweep_spec", owned[0]!, owned[1]!, quick ? 1 : 0, owned[2]!);
    if (!spec) throw core.errorAt(owned[2]!);
    try {
      return await call(spec);
    } finally {
      if (!core.broken) core.callNow("solo_web_sweep_spec_free", spec);
    }
  } finally {
    if (!core.broken) owned.forEach((each) => memory.free(each));
  }
}

const describe = (core: Core, spec: number): SweepSpec => takeJson(core, core.callNow("solo_web_sweep_describe", spec));

export const describeSpec = (core: Core, text: string, where: string, quick: boolean): Promise<SweepSpec> =>
  withSpec(core, text, where, quick, async (spec) => describe(core, spec));

/** Rows whose keys are in `skip` were measured before. */
export function runSweep(
  core: Core,
  device: number,
  { spec: text, where, quick, skip }: { spec: string; where: string; quick: boolean; skip: string[] },
  onRow: (row: SweepRow) => void,
  stopped: () => boolean,
): Promise<Pick<SweepHead, "device" | "probe" | "rates">> {
  return withSpec(core, text, where, quick, async (spec) => {
    const { keys } = describe(core, spec);
    const out = core.memory.alloc(4);
    let bench = 0;
    try {
      await core.try("solo_web_sweep_open", out, device);
      bench = core.memory.u32(out);
      const head = takeJson<Pick<SweepHead, "device" | "probe" | "rates">>(core, core.callNow("solo_web_sweep_head", bench));
      for (let i = 0; i < keys.length && !stopped(); i++) {
        if (skip.includes(keys[i]!)) continue;
        await core.try("solo_web_sweep_row", out, bench, spec, i);
        onRow(takeJson(core, core.memory.u32(out)));
      }
      return head;
    } finally {
      if (bench && !core.broken) await core.call("solo_web_sweep_close", bench);
      if (!core.broken) core.memory.free(out);
    }
  });
}

/** The curves of a result's lines, as `solo plot` draws them. */
export function curvesOf(core: Core, lines: unknown[]): SweepCurves {
  const text = core.memory.newCString(JSON.stringify(lines));
  try {
    const at = core.callNow("solo_web_sweep_curves", text);
    return at ? takeJson(core, at) : { device: "", probe: "", left_out: 0, curves: [] };
  } finally {
    core.memory.free(text);
  }
}
