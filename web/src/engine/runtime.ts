/** What a worker holds: one core, one device, at most one model with its weights, plan and session. Knows solo.h's nouns and
 *  their order, nothing of OpenAI's shapes and nothing of messages between threads. */
import type {
  BenchOptions, BenchResult, BenchRow, ChatMessage, DeviceInfo, FinishReason, InitProgressReport, Inspection, ModelInfo, ModelRef,
  PlanInfo, PlanOptions, ProbeOptions, ProbeResult, SamplingOptions, StageInfo, SweepCurves, SweepHead, SweepRow, SweepSpec,
} from "../api.js";
import { isFolder, type OpenSource, type SourceProgress } from "../byte-source.js";
import { SoloError } from "../error.js";
import { Core, hasJspi, type Build } from "./core.js";
import { curvesOf, describeSpec, runSweep } from "./sweep.js";
import { TextWriter } from "./text.js";

export interface GenerateRequest extends SamplingOptions {
  messages?: ChatMessage[];
  prompt?: string;
  ignore_eos?: boolean;
}
export interface GenerateResult {
  text: string;
  ids: number[];
  finish_reason: FinishReason;
  prompt_tokens: number;
  reused_tokens: number;
  prefill_s: number; // until the first token was there
  decode_s: number; // from then until the last
  n_step: number; // tokens drawn, an end token among them
  dispatches_per_token: number;
  factoring: string;
}

interface Loaded {
  ref: ModelRef;
  source: number;
  model: number;
  info: ModelInfo;
  weights: number;
  plan: number;
  session: number;
  options: PlanOptions;
}

/** solo_model_desc's fields. */
type ModelDesc = Record<string, number | string | undefined> & { n_bytes?: number };

type Report = (report: Omit<InitProgressReport, "timeElapsed">) => void;

const MIB = 1 << 20;
const mib = (bytes: number): string => `${(bytes / MIB).toFixed(bytes < 10 * MIB ? 1 : 0)} MiB`;

export class Runtime {
  readonly #openSource: OpenSource;
  readonly #modules: (build: Build) => Promise<WebAssembly.Module>;
  #core: Core | undefined;
  #device = 0;
  #lost = ""; // why the open device is of no use
  #loaded: Loaded | undefined;
  #wanted: { ref: ModelRef; options: PlanOptions } | undefined;
  build: Build = "jspi";
  onLost: ((message: string) => void) | undefined;
  onNote: ((note: string) => void) | undefined;

  constructor(openSource: OpenSource, modules: (build: Build) => Promise<WebAssembly.Module>) {
    this.#openSource = openSource;
    this.#modules = modules;
  }

  /* ---- the core and the device ------------------------------------------------------------- */

  async start(build: "auto" | Build): Promise<Build> {
    if (build === "jspi" && !hasJspi())
      throw new SoloError("UNSUPPORTED", "build: wanted a browser with JavaScript Promise Integration for \"jspi\", found none; \"asyncify\" runs");
    this.build = build === "auto" ? (hasJspi() ? "jspi" : "asyncify") : build;
    await this.#core_();
    return this.build;
  }

  async #core_(): Promise<Core> {
    if (this.#core && !this.#core.broken) return this.#core;
    this.#loaded = undefined;
    this.#device = 0;
    const gpu = (navigator as { gpu?: GPU }).gpu;
    this.#core = await Core.load(this.build, await this.#modules(this.build), gpu);
    this.#core.webgpu.onLost = (message) => {
      this.#lost = message;
      this.onLost?.(message);
    };
    return this.#core;
  }

  async #device_(): Promise<number> {
    const core = await this.#core_();
    if (this.#device && !this.#lost) return this.#device;
    await this.#closeDevice();
    const [desc, free] = core.memory.make("solo_device_desc", {});
    try {
      this.#lost = "";
      return (this.#device = await core.open("solo_device_open", desc));
    } finally {
      free();
    }
  }

  async #closeDevice(): Promise<void> {
    await this.#closeModel();
    const core = this.#core;
    if (core && this.#device && !core.broken) await core.call("solo_device_close", this.#device);
    this.#device = 0;
  }

  async deviceInfo(): Promise<DeviceInfo> {
    const device = await this.#device_();
    const core = this.#core!;
    const { fields, free } = core.info("solo_device_get_info", "solo_device_info", device);
    free();
    const gpuDevice = core.webgpu.device;
    const limits: Record<string, number> = {};
    // Limits are properties of the prototype: not enumerable as an object's own.
    for (const name in gpuDevice?.limits) limits[name] = (gpuDevice.limits as unknown as Record<string, number>)[name]!;
    const info = core.webgpu.adapterInfo;
    return {
      ...(fields as unknown as DeviceInfo),
      vendor: info?.vendor ?? "",
      architecture: info?.architecture ?? "",
      features: [...(gpuDevice?.features ?? [])].sort(),
      limits,
    };
  }

  async probe(options: ProbeOptions): Promise<ProbeResult> {
    const device = await this.#device_();
    const { memory } = this.#core!;
    const out = memory.alloc(memory.number("solo_probe_result"));
    const [desc, free] = memory.make("solo_probe_desc", {
      workgroup_size: options.workgroup_size,
      no_bandwidth: options.bandwidth === false,
    });
    try {
      await this.#core!.try("solo_device_probe", device, desc, out);
      const { hand_off, n_hand_off, ...rest } = memory.read("solo_probe_result", out);
      const list = [];
      for (let i = 0; i < (n_hand_off as number); i++)
        list.push(memory.read("solo_probe_hand_off", (hand_off as number) + i * memory.number("solo_probe_hand_off")));
      return { ...rest, hand_off: list, device: await this.deviceInfo() } as unknown as ProbeResult;
    } finally {
      free();
      memory.free(out);
    }
  }

  /** Loses the device as a driver would. */
  loseDeviceForTest(): void {
    this.#core?.webgpu.device?.destroy();
  }

  /** Bytes of the core's memory now: it never shrinks, so this is its peak. */
  get memoryBytes(): number {
    return this.#core?.memory.byteLength ?? 0;
  }

  /* ---- models ------------------------------------------------------------------------------ */

  /** `source` is the number of what the core reads, one file or a folder; the rest says so to it. */
  async #openModel(ref: ModelRef, onProgress?: (progress: SourceProgress) => void): Promise<{ source: number; desc: ModelDesc }> {
    const core = await this.#core_();
    const opened = await this.#openSource(ref, onProgress);
    const desc = { label: opened.name, read: core.callNow("solo_web_reader") };
    if (!isFolder(opened)) {
      const source = core.addSource(opened);
      return { source, desc: { ...desc, read_user: source, n_bytes: opened.size } };
    }
    const source = core.addFolder(opened);
    const quant = "quant" in ref ? ref.quant : undefined; // a file stays as it is
    return { source, desc: { ...desc, open: core.callNow("solo_web_opener"), open_user: source, quant } };
  }

  async #parseModel(values: ModelDesc): Promise<number> {
    const core = this.#core!;
    const [desc, free] = core.memory.make("solo_model_desc", values);
    try {
      return await core.open("solo_model_open", desc);
    } finally {
      if (!core.broken) free();
    }
  }

  #modelInfo(model: number): ModelInfo {
    const { fields, free } = this.#core!.info("solo_model_get_info", "solo_model_info", model);
    free();
    return fields as unknown as ModelInfo;
  }

  /** Reads the head alone and says whether this device could hold the rest. */
  async inspect(ref: ModelRef, n_ctx?: number): Promise<Inspection> {
    const device = await this.#device_();
    const core = this.#core!;
    const { source, desc: head } = await this.#openModel(ref);
    let model = 0;
    try {
      model = await this.#parseModel(head);
      const info = this.#modelInfo(model);
      const out = core.memory.alloc(8);
      const [desc, free] = core.memory.make("solo_weights_desc", { model, device });
      let why = "";
      try {
        await core.try("solo_weights_measure", desc, out);
      } catch (error) {
        if (!(error instanceof SoloError) || error.status === "BUG") throw error;
        why = error.message;
      }
      const weight_bytes = Number(core.memory.view.getBigUint64(out, true));
      free();
      core.memory.free(out);
      const ctx = n_ctx || Math.min(info.n_ctx_train, 4096);
      const kv_bytes = 2 * 2 * info.n_layer * info.n_head_kv * info.head_dim * ctx; // K and V, f16
      return { model: info, file_bytes: head.n_bytes ?? info.n_bytes, weight_bytes, kv_bytes, n_ctx: ctx, fits: why === "", why };
    } finally {
      if (model && !core.broken) core.callNow("solo_model_close", model);
      core.closeSource(source);
    }
  }

  async load(ref: ModelRef, options: PlanOptions, report: Report): Promise<void> {
    await this.unload();
    report({ progress: 0, phase: "device", text: "Opening the GPU device" });
    await this.#device_();
    const core = this.#core!;
    report({ progress: 0.01, phase: "head", text: "Reading the model's head" });
    let last: SourceProgress | undefined;
    const { source, desc } = await this.#openModel(ref, (progress) => {
      last = progress;
    });
    const loaded: Loaded = { ref, source, options, model: 0, info: {} as ModelInfo, weights: 0, plan: 0, session: 0 };
    this.#loaded = loaded;
    try {
      loaded.model = await this.#parseModel(desc);
      loaded.info = this.#modelInfo(loaded.model);
      await this.#openWeights(loaded, (done, total) => {
        const text = `Loading ${loaded.info.name}: ${mib(done)} of ${mib(total)} on the GPU`;
        report({ progress: 0.02 + (0.88 * done) / total, phase: "weights", text, ...(last ? { source: last } : {}) });
      });
      core.closeSource(source);
      report({ progress: 0.9, phase: "plan", text: "Compiling the kernels" });
      await this.#openPlan(loaded);
      this.#wanted = { ref, options };
      report({ progress: 1, phase: "ready", text: `${loaded.info.name} is ready` });
    } catch (error) {
      await this.#closeModel();
      throw error;
    } finally {
      core.closeSource(source);
    }
  }

  async #openWeights(loaded: Loaded, onProgress: (done: number, total: number) => void): Promise<void> {
    const core = this.#core!;
    loaded.weights = await core.withProgress(onProgress, async (progress, progress_user) => {
      const [desc, free] = core.memory.make("solo_weights_desc", { model: loaded.model, device: this.#device, progress, progress_user });
      try {
        return await core.open("solo_weights_open", desc);
      } finally {
        if (!core.broken) free();
      }
    });
  }

  #planDesc(weights: number, options: PlanOptions): [number, () => void] {
    const { memory } = this.#core!;
    const choice = (prefix: string, value: string | undefined) =>
      value === undefined ? undefined : memory.number(`#${prefix}_${value.toUpperCase()}`);
    return memory.make("solo_plan_desc", {
      weights,
      factoring: options.factoring,
      activations: choice("SOLO_ACTIVATIONS", options.activations),
      assignment: choice("SOLO_ASSIGNMENT", options.assignment),
      kv_type: choice("SOLO_KV", options.kv_type),
      n_ctx: options.n_ctx,
      n_workgroup: options.n_workgroup,
      workgroup_size: options.workgroup_size,
      queue: options.queue,
      queue_across: options.queue_across,
    });
  }

  async #newPlan(weights: number, options: PlanOptions): Promise<number> {
    if (options.factoring === "auto") return this.#tunedPlan(weights, options);
    const [desc, free] = this.#planDesc(weights, options);
    try {
      return await this.#core!.open("solo_plan_open", desc);
    } finally {
      if (!this.#core!.broken) free();
    }
  }

  async #newSession(plan: number, options: PlanOptions): Promise<number> {
    const [desc, free] = this.#core!.memory.make("solo_session_desc", { plan, n_in_flight: options.n_in_flight });
    try {
      return await this.#core!.open("solo_session_open", desc);
    } finally {
      if (!this.#core!.broken) free();
    }
  }

  async #openPlan(loaded: Loaded): Promise<void> {
    loaded.plan = await this.#newPlan(loaded.weights, loaded.options);
    loaded.session = await this.#newSession(loaded.plan, loaded.options);
    const { note } = this.#planInfo(loaded.plan);
    if (note) this.onNote?.(note);
  }

  /** Probes the device, times the likely factorings on these weights and opens the fastest. */
  async #tunedPlan(weights: number, options: PlanOptions): Promise<number> {
    const { memory } = this.#core!;
    const core = this.#core!;
    const [plan, freePlan] = this.#planDesc(weights, { ...options, factoring: undefined });
    const [desc, freeDesc] = memory.make("solo_tune_desc", {});
    memory.bytes.copyWithin(desc + memory.off("solo_tune_desc.plan"), plan, plan + memory.number("solo_plan_desc"));
    const result = memory.alloc(memory.number("solo_tune_result"));
    const out = memory.alloc(4);
    try {
      await core.try("solo_tune", desc, result, out);
      return memory.u32(out);
    } finally {
      if (!core.broken) {
        freePlan();
        freeDesc();
        memory.free(result);
        memory.free(out);
      }
    }
  }

  async #closePlan(loaded: { plan: number; session: number }): Promise<void> {
    const core = this.#core!;
    if (loaded.session && !core.broken) await core.call("solo_session_close", loaded.session);
    if (loaded.plan && !core.broken) await core.call("solo_plan_close", loaded.plan);
    loaded.session = loaded.plan = 0;
  }

  async #closeModel(): Promise<void> {
    const loaded = this.#loaded;
    const core = this.#core;
    this.#loaded = undefined;
    if (!loaded || !core) return;
    await this.#closePlan(loaded);
    if (loaded.weights && !core.broken) await core.call("solo_weights_close", loaded.weights);
    if (loaded.model && !core.broken) core.callNow("solo_model_close", loaded.model);
  }

  async unload(): Promise<void> {
    await this.#closeModel();
    this.#wanted = undefined;
  }

  /** The model, loaded again where the device or the core went away since. */
  async #ready(): Promise<Loaded> {
    if (!this.#lost && !this.#core?.broken && this.#loaded?.session) return this.#loaded;
    if (!this.#wanted) throw new SoloError("ARGUMENT", "wanted a loaded model, found none: call reload(model) first");
    await this.reload(() => {});
    return this.#loaded!;
  }

  async reload(report: Report): Promise<void> {
    const wanted = this.#wanted;
    if (!wanted) throw new SoloError("ARGUMENT", "reload: wanted a model, found none");
    try {
      await this.load(wanted.ref, wanted.options, report);
    } finally {
      this.#wanted = wanted; // what failed may be tried again
    }
  }

  async modelInfo(): Promise<ModelInfo> {
    return (await this.#ready()).info;
  }

  #planInfo(plan: number): PlanInfo {
    const { memory } = this.#core!;
    const { fields, free } = this.#core!.info("solo_plan_get_info", "solo_plan_info", plan);
    const { n_stage, stage, ...rest } = fields;
    const stages: StageInfo[] = [];
    for (let i = 0; i < (n_stage as number); i++)
      stages.push(memory.read("solo_stage_info", (stage as number) + i * memory.number("solo_stage_info")) as unknown as StageInfo);
    free();
    return { ...rest, stages } as unknown as PlanInfo;
  }
  async planInfo(): Promise<PlanInfo> {
    return this.#planInfo((await this.#ready()).plan);
  }
  async planWgsl(): Promise<string> {
    const { plan } = await this.#ready();
    return this.#core!.memory.cString(this.#core!.callNow("solo_plan_wgsl", plan));
  }

  async setPlan(options: PlanOptions): Promise<PlanInfo> {
    const loaded = await this.#ready();
    const before = loaded.options;
    if (options.factoring && options.factoring !== "auto") {
      // Before the plan that works goes: compiling it again takes time.
      const name = this.#core!.memory.newCString(options.factoring);
      await this.#core!.try("solo_factoring_check", name).finally(() => this.#core!.memory.free(name));
    }
    await this.#closePlan(loaded);
    loaded.options = { ...before, ...options };
    try {
      await this.#openPlan(loaded);
    } catch (error) {
      loaded.options = before; // the one that worked comes back
      await this.#closePlan(loaded);
      if (!this.#lost) await this.#openPlan(loaded);
      throw error;
    }
    this.#wanted = { ref: loaded.ref, options: loaded.options };
    return this.#planInfo(loaded.plan);
  }

  async factorings(): Promise<string[]> {
    const core = await this.#core_();
    const names: string[] = [];
    for (let at = core.callNow("solo_factoring_names"); core.memory.u32(at) !== 0; at += 4)
      names.push(core.memory.cString(core.memory.u32(at)));
    return names;
  }

  /* ---- text and ids ------------------------------------------------------------------------ */

  #tokenize(model: number, text: string, addBos: boolean, parseSpecial: boolean): Promise<number[]> {
    const core = this.#core!;
    const { memory } = core;
    const encoded = new TextEncoder().encode(text);
    const at = memory.alloc(encoded.length + 8);
    memory.bytes.set(encoded, at);
    const out = memory.alloc(8);
    memory.setU32(out, 0);
    return core
      .try("solo_tokenize", model, at, encoded.length, addBos ? 1 : 0, parseSpecial ? 1 : 0, out, out + 4)
      .then(() => Array.from(new Uint32Array(memory.bytes.buffer, memory.u32(out), memory.u32(out + 4))))
      .finally(() => [memory.u32(out), out, at].forEach((each) => memory.free(each)));
  }
  async tokenize(text: string, options: { add_bos?: boolean; parse_special?: boolean }): Promise<number[]> {
    return this.#tokenize((await this.#ready()).model, text, options.add_bos ?? false, options.parse_special ?? true);
  }

  #tokenBytes(model: number, id: number, showSpecial: boolean): Uint8Array<ArrayBuffer> {
    const { memory } = this.#core!;
    const n = memory.alloc(4);
    const at = this.#core!.callNow("solo_token_bytes", model, id, showSpecial ? 1 : 0, n);
    const bytes = memory.bytes.slice(at, at + memory.u32(n));
    memory.free(n);
    return at === 0 ? new Uint8Array() : bytes;
  }
  async detokenize(ids: number[]): Promise<string> {
    const { model, info } = await this.#ready();
    const writer = new TextWriter([]);
    for (const id of ids) {
      if (!(id >= 0 && id < info.n_vocab))
        throw new SoloError("ARGUMENT", `ids: wanted less than n_vocab = ${info.n_vocab}, found ${id}`);
      writer.push(this.#tokenBytes(model, id, true));
    }
    writer.end();
    return writer.text;
  }

  #render(model: number, messages: ChatMessage[]): string {
    const core = this.#core!;
    const { memory } = core;
    const size = memory.number("solo_message");
    const list = memory.alloc(size * messages.length + 4);
    const owned = [list];
    messages.forEach((message, i) => {
      const content = Array.isArray(message.content) ? message.content.map((part) => part.text).join("") : (message.content ?? "");
      const texts = [memory.newCString(message.role === "developer" ? "system" : message.role), memory.newCString(content)];
      owned.push(...texts);
      memory.set("solo_message.role", list + i * size, texts[0]!);
      memory.set("solo_message.content", list + i * size, texts[1]!);
    });
    const out = memory.alloc(4);
    const error = memory.alloc(memory.number("solo_error"));
    owned.push(out, error);
    try {
      if (!(core.callNow("solo_chat_render", model, list, messages.length, 1, out, error) & 0xff))
        throw core.errorAt(error);
      owned.push(memory.u32(out));
      return memory.cString(memory.u32(out));
    } finally {
      owned.forEach((each) => memory.free(each));
    }
  }

  /* ---- generating -------------------------------------------------------------------------- */

  async resetChat(): Promise<void> {
    const loaded = this.#loaded;
    if (!loaded?.plan || this.#lost) return;
    await this.#core!.call("solo_session_close", loaded.session);
    loaded.session = 0;
    loaded.session = await this.#newSession(loaded.plan, loaded.options);
  }

  async #setSampling(session: number, request: SamplingOptions): Promise<void> {
    const seed = request.seed ?? Math.floor(Math.random() * 2 ** 32);
    const [at, free] = this.#core!.memory.make("solo_sampling", {
      temperature: request.temperature ?? 1,
      top_k: request.top_k ?? 0,
      top_p: request.top_p ?? 0,
      min_p: request.min_p ?? 0,
      repeat_penalty: request.repetition_penalty ?? 0,
      repeat_last_n: request.repeat_last_n ?? 0,
      seed: BigInt(Math.trunc(seed)),
    });
    await this.#core!.try("solo_session_set_sampling", session, at).finally(free);
  }

  async #sync(session: number, ids: number[]): Promise<void> {
    const { memory } = this.#core!;
    const at = memory.alloc(4 * ids.length + 4);
    new Uint32Array(memory.bytes.buffer, at, ids.length).set(ids);
    await this.#core!.try("solo_session_sync", session, at, ids.length).finally(() => memory.free(at));
  }

  #sessionInfo(session: number) {
    const { fields, free } = this.#core!.info("solo_session_get_info", "solo_session_info", session);
    free();
    return fields as { n_ctx: number; n_past: number; n_reused: number; n_step: number; n_step_dispatch: number; factoring: string; fell_back: boolean; note: string };
  }

  /** Writes an answer; onText gets what is certain of it as it comes. */
  async generate(request: GenerateRequest, onText: (text: string) => void, stopped: () => boolean): Promise<GenerateResult> {
    const loaded = await this.#ready();
    const core = this.#core!;
    const text = request.messages ? this.#render(loaded.model, request.messages) : (request.prompt ?? "");
    const ids = await this.#tokenize(loaded.model, text, true, true);
    const begun = performance.now();
    await this.#setSampling(loaded.session, request);
    const before = this.#sessionInfo(loaded.session);
    await this.#sync(loaded.session, ids);
    const stops = typeof request.stop === "string" ? [request.stop] : (request.stop ?? []);
    const writer = new TextWriter(stops);
    const result: GenerateResult = {
      text: "", ids: [], finish_reason: "length", prompt_tokens: ids.length, reused_tokens: this.#sessionInfo(loaded.session).n_reused,
      prefill_s: 0, decode_s: 0, n_step: 0, dispatches_per_token: 0, factoring: "",
    };
    const most = request.max_completion_tokens ?? request.max_tokens ?? Infinity;
    const out = core.memory.alloc(4);
    let first = 0;
    let last = 0;
    try {
      while (result.ids.length < most) {
        if (stopped()) {
          result.finish_reason = "abort";
          break;
        }
        try {
          await core.try("solo_session_next", loaded.session, out);
        } catch (error) {
          if (error instanceof SoloError && error.status === "CONTEXT_FULL") break;
          throw error;
        }
        last = performance.now();
        if (result.n_step++ === 0) first = last;
        const id = core.memory.u32(out);
        if (!request.ignore_eos && core.callNow("solo_token_is_end", loaded.model, id) & 0xff) {
          result.finish_reason = "stop";
          break;
        }
        result.ids.push(id);
        const piece = writer.push(this.#tokenBytes(loaded.model, id, false));
        if (piece) onText(piece);
        if (writer.stopped) {
          result.finish_reason = "stop";
          break;
        }
      }
    } finally {
      if (!core.broken) core.memory.free(out);
    }
    const rest = writer.end();
    if (rest) onText(rest);
    const after = this.#sessionInfo(loaded.session);
    if (after.note && after.note !== before.note) this.onNote?.(after.note);
    result.text = writer.text;
    result.prefill_s = first ? (first - begun) / 1000 : 0;
    result.decode_s = (last - first) / 1000;
    result.factoring = after.factoring;
    if (after.n_step > before.n_step)
      result.dispatches_per_token = (after.n_step_dispatch - before.n_step_dispatch) / (after.n_step - before.n_step);
    return result;
  }

  /* ---- the spectrum ------------------------------------------------------------------------ */

  /** Factorings side by side over the same weights: as `solo bench`, whose prompt and rules these are. */
  async bench(options: Omit<BenchOptions, "onRow" | "signal">, onRow: (row: BenchRow) => void, stopped: () => boolean): Promise<BenchResult> {
    const loaded = await this.#ready();
    const device = await this.deviceInfo();
    const tokens = options.tokens ?? (device.is_software ? 4 : 32);
    const samples = options.samples ?? (device.is_software ? 1 : 3);
    const positions = Math.max(1, options.positions ?? (device.is_software ? 4 : 128));
    const prompt = Array.from({ length: positions }, (_, i) => (i * 7919 + 1000) % loaded.info.n_vocab);
    const plan = { ...loaded.options, ...options.plan };
    const rows: BenchRow[] = [];
    await this.#closePlan(loaded); // its KV cache makes room for the rows'
    try {
      for (const factoring of options.factorings ?? (await this.factorings())) {
        if (stopped()) break;
        const of = typeof factoring === "string" ? { factoring } : factoring;
        const row = await this.#benchRow(loaded.weights, { ...plan, ...of }, { tokens, samples, warmup: options.warmup ?? 1, prompt, warm: !device.is_software });
        rows.push(row);
        onRow(row);
        if (this.#lost) break;
      }
    } finally {
      if (!this.#lost && !this.#core!.broken) await this.#openPlan(loaded);
    }
    const best = rows.filter((row) => row.status === "ok").sort((a, b) => a.ms_per_token - b.ms_per_token)[0];
    if (best) {
      best.winner = true;
      onRow(best);
    }
    return { rows, device, model: loaded.info, positions, tokens, version: this.#core!.memory.version, build: this.build };
  }

  /** Rows on models of their own; the loaded one's plan makes room meanwhile. */
  async sweep(
    options: { spec: string; where: string; quick: boolean; skip: string[] }, onRow: (row: SweepRow) => void, stopped: () => boolean,
  ): Promise<SweepHead> {
    const device = await this.#device_();
    const core = this.#core!;
    const loaded = this.#loaded;
    if (loaded) await this.#closePlan(loaded);
    try {
      const { device: about, probe, rates } = await runSweep(core, device, options, onRow, stopped);
      const browser = browserName();
      return {
        schema: "solo-sweep-1", what: "head", solo: core.memory.version, commit: "unknown", where: "page",
        date: new Date().toISOString().slice(0, 10), webgpu: browser, browser, toggles: [], quick: options.quick, device: about, probe, rates,
      };
    } finally {
      if (loaded && !this.#lost && !core.broken) await this.#openPlan(loaded);
    }
  }
  async sweepSpec({ spec, where, quick }: { spec: string; where: string; quick: boolean }): Promise<SweepSpec> {
    return describeSpec(await this.#core_(), spec, where, quick);
  }
  async sweepCurves(lines: unknown[]): Promise<SweepCurves> {
    return curvesOf(await this.#core_(), lines);
  }

  async #logitsHash(session: number, prompt: number[]): Promise<string> {
    const { memory } = this.#core!;
    await this.#sync(session, prompt);
    const n_vocab = this.#loaded!.info.n_vocab;
    const at = memory.alloc(4 * n_vocab);
    await this.#core!.try("solo_session_logits", session, at);
    const hash = fnv1a(new Uint32Array(memory.bytes.buffer, at, n_vocab));
    memory.free(at);
    return hash;
  }

  async #benchRow(
    weights: number, plan: PlanOptions,
    how: { tokens: number; samples: number; warmup: number; prompt: number[]; warm: boolean },
  ): Promise<BenchRow> {
    const row: BenchRow = {
      factoring: plan.factoring!, dispatches_per_token: 0, tokens_per_second: 0, ms_per_token: 0, samples_ms: [], ids_hash: "",
      logits_hash: "",
      status: "ok", note: "",
    };
    const core = this.#core!;
    const open = { plan: 0, session: 0 };
    const out = core.memory.alloc(4);
    try {
      open.plan = await this.#newPlan(weights, plan);
      open.session = await this.#newSession(open.plan, plan);
      row.plan = this.#planInfo(open.plan);
      let before = this.#sessionInfo(open.session);
      const begun = performance.now();
      // Each sample goes on from the same context; a second of them warms a GPU's clocks.
      for (let i = 0; i < how.warmup + how.samples; i++) {
        if (i === how.warmup && how.warm && performance.now() - begun < 1000) i--;
        if (i === how.warmup) before = this.#sessionInfo(open.session);
        await this.#sync(open.session, how.prompt);
        const ids: number[] = [];
        const t = performance.now();
        for (let k = 0; k < how.tokens; k++) {
          await core.try("solo_session_next", open.session, out);
          ids.push(core.memory.u32(out));
        }
        if (i >= how.warmup) row.samples_ms.push((performance.now() - t) / how.tokens);
        if (i === how.warmup) row.ids_hash = fnv1a(ids);
      }
      const after = this.#sessionInfo(open.session);
      row.logits_hash = await this.#logitsHash(open.session, how.prompt);
      row.dispatches_per_token = (after.n_step_dispatch - before.n_step_dispatch) / (after.n_step - before.n_step);
      row.ms_per_token = [...row.samples_ms].sort((a, b) => a - b)[row.samples_ms.length >> 1]!;
      row.tokens_per_second = 1000 / row.ms_per_token;
      row.note = after.note || row.plan.note;
      if (after.fell_back || row.plan.note) row.status = "fell-back";
    } catch (error) {
      if (core.broken || !(error instanceof SoloError)) throw error;
      row.status = "failed";
      row.note = error.message;
    } finally {
      if (!core.broken) core.memory.free(out);
      await this.#closePlan(open);
    }
    return row;
  }
}

/** Its name and major version, nothing else of whoever browses. */
function browserName(): string {
  const { userAgentData, userAgent } = navigator as Navigator & { userAgentData?: { brands: { brand: string; version: string }[] } };
  const brand = userAgentData?.brands.filter(({ brand }) => !/not.*brand/i.test(brand)).sort((a, b) => Number(a.brand === "Chromium") - Number(b.brand === "Chromium"))[0];
  if (brand) return `${brand.brand} ${brand.version}`;
  const said = /(Firefox|Chrome|Version)\/(\d+)/.exec(userAgent);
  return said ? `${said[1] === "Version" ? "Safari" : said[1]} ${said[2]}` : "a browser";
}

function fnv1a(words: Iterable<number>): string {
  let hash = 0x811c9dc5;
  for (const word of words)
    for (let shift = 0; shift < 32; shift += 8) hash = Math.imul(hash ^ ((word >>> shift) & 0xff), 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}
