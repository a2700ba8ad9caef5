/** What a page's thread and the engine's worker say to each other. */
import type {
  BenchOptions, BenchResult, BenchRow, DeviceInfo, InitProgressReport, Inspection, ModelInfo, ModelRef, PlanInfo, PlanOptions,
  ProbeOptions, ProbeResult, SweepCurves, SweepHead, SweepRow, SweepSpec,
} from "../api.js";
import type { Status } from "../error.js";
import type { GenerateRequest, GenerateResult } from "./runtime.js";

/** What a page may ask for: arguments and answer of each. Answered one at a time, in order. */
export interface Calls {
  start: { in: { build: "auto" | "jspi" | "asyncify" }; out: "jspi" | "asyncify" };
  load: { in: { ref: ModelRef; options: PlanOptions }; out: void };
  reload: { in: undefined; out: void };
  unload: { in: undefined; out: void };
  generate: { in: GenerateRequest; out: GenerateResult };
  resetChat: { in: undefined; out: void };
  inspect: { in: { ref: ModelRef; n_ctx?: number }; out: Inspection };
  modelInfo: { in: undefined; out: ModelInfo };
  planInfo: { in: undefined; out: PlanInfo };
  planWgsl: { in: undefined; out: string };
  setPlan: { in: PlanOptions; out: PlanInfo };
  factorings: { in: undefined; out: string[] };
  deviceInfo: { in: undefined; out: DeviceInfo };
  probe: { in: ProbeOptions; out: ProbeResult };
  bench: { in: Omit<BenchOptions, "onRow" | "signal">; out: BenchResult };
  sweep: { in: { spec: string; where: string; quick: boolean; skip: string[] }; out: SweepHead };
  sweepSpec: { in: { spec: string; where: string; quick: boolean }; out: SweepSpec };
  sweepCurves: { in: { lines: unknown[] }; out: SweepCurves };
  tokenize: { in: { text: string; add_bos?: boolean; parse_special?: boolean }; out: number[] };
  detokenize: { in: { ids: number[] }; out: string };
  memoryBytes: { in: undefined; out: number };
}
export type CallName = keyof Calls;

export type ToWorker =
  | { solo: "call"; id: number; name: CallName; args: unknown }
  /** Ends the call that runs now, or that call once it runs; not in the queue. */
  | { solo: "interrupt"; id?: number }
  | { solo: "lose-device-for-test" };

export type FromWorker =
  /** `lock` is held as long as the worker runs. */
  | { solo: "hello"; lock: string }
  | { solo: "result"; id: number; value: unknown }
  | { solo: "error"; id: number; status: Status; message: string }
  | { solo: "text"; id: number; text: string }
  | { solo: "row"; id: number; row: BenchRow | SweepRow }
  | { solo: "progress"; id: number; report: InitProgressReport }
  | { solo: "lost"; message: string }
  | { solo: "note"; note: string };
