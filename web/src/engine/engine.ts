/** The engine that a page holds: WebLLM's and OpenAI's shapes over the worker's calls. */
import type {
  AppConfig, BenchOptions, BenchResult, BenchRow, ChatCompletion, ChatCompletionChunk, ChatCompletions, ChatOptions, ChatRequest, Completion,
  CompletionRequestBase, Completions, CompletionUsage, DeviceInfo, Engine, EngineConfig, InitProgressCallback, Inspection, ModelInfo,
  ModelName, ModelRef, PlanInfo, PlanOptions, ProbeOptions, ProbeResult, SamplingOptions, SweepCurves, SweepHead, SweepOptions, SweepRow, SweepSpec,
} from "../api.js";
import { SoloError } from "../error.js";
import { Channel } from "./channel.js";
import type { GenerateRequest, GenerateResult } from "./runtime.js";

const startWorker = (): Worker => new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "solo" });

/** What would change the answer if it were passed over in silence. */
const REFUSED = ["tools", "tool_choice", "functions", "response_format", "logprobs", "top_logprobs", "logit_bias"];
/** OpenAI's penalties count occurrences; the sampler here has repetition_penalty. */
const REFUSED_UNLESS_ZERO = ["frequency_penalty", "presence_penalty"];

const PLAN_OPTIONS = [
  "factoring", "activations", "n_ctx", "assignment", "kv_type", "n_workgroup", "workgroup_size", "queue", "queue_across",
  "n_in_flight",
] as const;
const SAMPLING_OPTIONS = [
  "temperature", "top_p", "seed", "max_tokens", "max_completion_tokens", "stop", "repetition_penalty", "top_k", "min_p", "repeat_last_n",
] as const;

function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Partial<Pick<T, K>> {
  const out: Partial<Pick<T, K>> = {};
  for (const name of names) if (from[name] !== undefined && from[name] !== null) out[name] = from[name];
  return out;
}

function checkRequest(request: Record<string, unknown>): void {
  for (const name of REFUSED)
    if (request[name] !== undefined && request[name] !== null && request[name] !== false)
      throw new SoloError("UNSUPPORTED", `${name}: wanted it absent, since Solo has no such thing, found ${JSON.stringify(request[name])}`);
  for (const name of REFUSED_UNLESS_ZERO)
    if (request[name])
      throw new SoloError("UNSUPPORTED", `${name}: wanted 0 (repetition_penalty is what there is), found ${String(request[name])}`);
  const n = request["n"];
  if (n !== undefined && n !== null && n !== 1) throw new SoloError("UNSUPPORTED", `n: wanted 1 answer, found ${String(n)}`);
}

/** Pieces of a stream, from a callback to whoever iterates. */
class Pipe<T> implements AsyncIterableIterator<T> {
  readonly #items: T[] = [];
  readonly #onReturn: () => void;
  #wake: (() => void) | undefined;
  #ended = false;
  #error: unknown;

  constructor(onReturn: () => void) {
    this.#onReturn = onReturn;
  }
  push(item: T): void {
    this.#items.push(item);
    this.#wake?.();
  }
  end(error?: unknown): void {
    this.#ended = true;
    this.#error = error;
    this.#wake?.();
  }
  async next(): Promise<IteratorResult<T>> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) return { done: false, value: item };
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
  /** A loop left early ends the answer. */
  async return(): Promise<IteratorResult<T>> {
    if (!this.#ended) this.#onReturn();
    this.#ended = true;
    return { done: true, value: undefined };
  }
  [Symbol.asyncIterator](): this {
    return this;
  }
}

export class SoloEngine implements Engine {
  readonly #channel: Channel;
  #config: EngineConfig;
  #modelName = "";
  #options: ChatOptions = {};
  #last: GenerateResult | undefined;
  readonly chat: { readonly completions: ChatCompletions };
  readonly completions: Completions;
  onDeviceLost?: (message: string) => void;
  onNote?: (note: string) => void;
  onStopped?: (message: string) => void;

  /** Resolves once the core runs; reload() waits for it. */
  readonly started: Promise<void>;

  constructor(config: EngineConfig = {}) {
    this.#config = config;
    this.#channel = new Channel(config.worker ?? startWorker());
    this.#channel.onLost = (message) => this.onDeviceLost?.(message);
    this.#channel.onNote = (note) => this.onNote?.(note);
    this.#channel.onStopped = (message) => this.onStopped?.(message);
    this.chat = { completions: { create: this.#createChat.bind(this) as ChatCompletions["create"] } };
    this.completions = { create: this.#createCompletion.bind(this) as Completions["create"] };
    this.started = this.#channel.call("start", { build: config.build ?? "auto" }).then(() => {});
    this.started.catch(() => {}); // told to whoever waits
  }

  /* ---- models ------------------------------------------------------------------------------ */

  #refOf(model: ModelName): { ref: ModelRef; name: string; overrides: ChatOptions } {
    if (typeof model !== "string") {
      const name = "url" in model ? model.url : "cached" in model ? model.cached : (model.name ?? "model");
      return { ref: model, name, overrides: {} };
    }
    const row = this.#config.appConfig?.model_list.find((each) => each.model_id === model);
    if (row) {
      const { model: url, sha256, size, overrides = {} } = row;
      return { ref: { url: absolute(url), ...(sha256 ? { sha256 } : {}), ...(size ? { size } : {}) }, name: model, overrides };
    }
    if (!/^(https?:|blob:|data:|\.{0,2}\/)|\.gguf$/.test(model)) {
      const known = this.#config.appConfig?.model_list.map((each) => each.model_id).join(", ") || "none: appConfig.model_list is empty";
      throw new SoloError("ARGUMENT", `model: wanted an address of a .gguf or an id of appConfig.model_list (${known}), found "${model}"`);
    }
    return { ref: { url: absolute(model) }, name: model, overrides: {} };
  }

  #report = (report: Parameters<InitProgressCallback>[0]): void => this.#config.initProgressCallback?.(report);

  async reload(model?: ModelName, options: ChatOptions = {}): Promise<void> {
    await this.started;
    if (model === undefined) return this.#channel.call("reload", undefined, { progress: this.#report });
    const { ref, name, overrides } = this.#refOf(Array.isArray(model) ? (model[0] as string) : model);
    const all: ChatOptions = { ...this.#config.plan, ...overrides, ...options };
    const plan = pick(all, PLAN_OPTIONS) as PlanOptions;
    if (all.context_window_size && !plan.n_ctx) plan.n_ctx = all.context_window_size;
    await this.#channel.call("load", { ref, options: plan }, { progress: this.#report });
    this.#modelName = name;
    this.#options = all;
    this.#last = undefined;
  }
  unload(): Promise<void> {
    return this.#channel.call("unload", undefined);
  }
  inspect(model: ModelName, options: { n_ctx?: number } = {}): Promise<Inspection> {
    return this.#channel.call("inspect", { ref: this.#refOf(model).ref, ...options });
  }

  /* ---- answers ----------------------------------------------------------------------------- */

  #request(request: SamplingOptions & { ignore_eos?: boolean }): GenerateRequest {
    checkRequest(request as Record<string, unknown>);
    return {
      ...pick(this.#options as SamplingOptions, SAMPLING_OPTIONS),
      ...pick(request, SAMPLING_OPTIONS),
      ...(request.ignore_eos ? { ignore_eos: true } : {}),
    };
  }

  async #generate(request: GenerateRequest, text?: (text: string) => void): Promise<GenerateResult> {
    return (this.#last = await this.#channel.call("generate", request, text ? { text } : {}));
  }

  /** A stream: `piece` makes a chunk of text, `last` the chunks of the end. */
  #stream<T>(request: GenerateRequest, piece: (text: string) => T, last: (result: GenerateResult) => T[]): AsyncIterable<T> {
    const { id, answer } = this.#channel.begin("generate", request, { text: (text) => pipe.push(piece(text)) });
    const pipe = new Pipe<T>(() => this.#channel.interrupt(id));
    answer.then(
      (result) => {
        this.#last = result;
        last(result).forEach((chunk) => pipe.push(chunk));
        pipe.end();
      },
      (error: unknown) => pipe.end(error),
    );
    return pipe;
  }

  async #createChat(request: ChatRequest): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>> {
    if (!Array.isArray(request.messages) || request.messages.length === 0)
      throw new SoloError("ARGUMENT", "messages: wanted a list of at least one message, found none");
    const generate = { ...this.#request(request), messages: request.messages };
    const base = { id: `chatcmpl-${crypto.randomUUID()}`, created: Math.floor(Date.now() / 1000), model: this.#modelName };
    if (!request.stream) {
      const result = await this.#generate(generate);
      return {
        ...base, object: "chat.completion",
        choices: [{ index: 0, message: { role: "assistant", content: result.text }, finish_reason: result.finish_reason, logprobs: null }],
        usage: usageOf(result),
        ...(request.solo_ids ? { solo_ids: result.ids } : {}),
      };
    }
    const chunk = (delta: { role?: "assistant"; content?: string }, finish: GenerateResult["finish_reason"] | null): ChatCompletionChunk => ({
      ...base, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: finish, logprobs: null }],
    });
    return this.#stream(
      generate,
      (content) => chunk({ role: "assistant", content }, null),
      (result) => {
        const end: ChatCompletionChunk[] = [{ ...chunk({}, result.finish_reason), ...(request.solo_ids ? { solo_ids: result.ids } : {}) }];
        if (request.stream_options?.include_usage) end.push({ ...base, object: "chat.completion.chunk", choices: [], usage: usageOf(result) });
        return end;
      },
    );
  }

  async #createCompletion(
    request: CompletionRequestBase & { stream?: boolean | null; stream_options?: { include_usage?: boolean } | null },
  ): Promise<Completion | AsyncIterable<Completion>> {
    if (typeof request.prompt !== "string") throw new SoloError("ARGUMENT", `prompt: wanted text, found ${typeof request.prompt}`);
    const generate = { ...this.#request(request), prompt: request.prompt };
    const base = { id: `cmpl-${crypto.randomUUID()}`, object: "text_completion" as const, created: Math.floor(Date.now() / 1000), model: this.#modelName };
    const choice = (text: string, finish_reason: GenerateResult["finish_reason"] | null): Completion => ({
      ...base, choices: [{ index: 0, text, finish_reason, logprobs: null }],
    });
    const echo = request.echo ? request.prompt : "";
    if (!request.stream) {
      const result = await this.#generate(generate);
      const solo = request.solo_ids ? { solo_ids: result.ids } : {};
      return { ...choice(echo + result.text, result.finish_reason), usage: usageOf(result), ...solo };
    }
    let before = echo;
    return this.#stream(
      generate,
      (text) => {
        const shown = before + text;
        before = "";
        return choice(shown, null);
      },
      (result) => {
        const end: Completion[] = [{ ...choice(before, result.finish_reason), ...(request.solo_ids ? { solo_ids: result.ids } : {}) }];
        if (request.stream_options?.include_usage) end.push({ ...base, choices: [], usage: usageOf(result) });
        return end;
      },
    );
  }

  interruptGenerate(): void {
    this.#channel.interrupt();
  }
  async resetChat(keepStats = false): Promise<void> {
    await this.#channel.call("resetChat", undefined);
    if (!keepStats) this.#last = undefined;
  }
  async getMessage(): Promise<string> {
    return this.#last?.text ?? "";
  }
  async runtimeStatsText(): Promise<string> {
    if (!this.#last) return "";
    const { extra } = usageOf(this.#last);
    return `prefill: ${extra.prefill_tokens_per_s.toFixed(4)} tokens/sec, decoding: ${extra.decode_tokens_per_s.toFixed(4)} tokens/sec`;
  }

  /* ---- the device and the plan ------------------------------------------------------------- */

  modelInfo = (): Promise<ModelInfo> => this.#channel.call("modelInfo", undefined);
  planInfo = (): Promise<PlanInfo> => this.#channel.call("planInfo", undefined);
  planWgsl = (): Promise<string> => this.#channel.call("planWgsl", undefined);
  deviceInfo = (): Promise<DeviceInfo> => this.#channel.call("deviceInfo", undefined);
  setPlan = (options: PlanOptions): Promise<PlanInfo> => this.#channel.call("setPlan", options);
  factorings = (): Promise<string[]> => this.#channel.call("factorings", undefined);
  probe = (options: ProbeOptions = {}): Promise<ProbeResult> => this.#channel.call("probe", options);
  tokenize = (text: string, options: { add_bos?: boolean; parse_special?: boolean } = {}): Promise<number[]> =>
    this.#channel.call("tokenize", { text, ...options });
  detokenize = (ids: number[]): Promise<string> => this.#channel.call("detokenize", { ids });
  /** Bytes of the core's memory: what the page itself holds besides the GPU's. */
  memoryBytes = (): Promise<number> => this.#channel.call("memoryBytes", undefined);

  async bench(options: BenchOptions = {}): Promise<BenchResult> {
    const { onRow, signal, ...rest } = options;
    const { id, answer } = this.#channel.begin("bench", rest, onRow ? { row: (row) => onRow(row as BenchRow) } : {});
    const stop = () => this.#channel.interrupt(id);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop);
    return answer.finally(() => signal?.removeEventListener("abort", stop));
  }

  async sweep({ onRow, signal, spec, where = "spec", quick = false, skip = [] }: SweepOptions): Promise<{ head: SweepHead; rows: SweepRow[] }> {
    const rows: SweepRow[] = [];
    const row = (found: BenchRow | SweepRow) => {
      rows.push(found as SweepRow);
      onRow?.(found as SweepRow);
    };
    const { id, answer } = this.#channel.begin("sweep", { spec, where, quick, skip }, { row });
    const stop = () => this.#channel.interrupt(id);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop);
    return { head: await answer.finally(() => signal?.removeEventListener("abort", stop)), rows };
  }
  sweepSpec = (spec: string, { where = "spec", quick = false } = {}): Promise<SweepSpec> =>
    this.#channel.call("sweepSpec", { spec, where, quick });
  sweepCurves = (lines: unknown[]): Promise<SweepCurves> => this.#channel.call("sweepCurves", { lines });

  async getGPUVendor(): Promise<string> {
    return (await this.deviceInfo()).vendor;
  }
  async getMaxStorageBufferBindingSize(): Promise<number> {
    return (await this.deviceInfo()).max_binding_bytes;
  }
  setInitProgressCallback(callback: InitProgressCallback): void {
    this.#config = { ...this.#config, initProgressCallback: callback };
  }
  getInitProgressCallback(): InitProgressCallback | undefined {
    return this.#config.initProgressCallback;
  }
  setLogLevel(_level: string): void {} // nothing is logged
  setAppConfig(config: AppConfig): void {
    this.#config = { ...this.#config, appConfig: config };
  }
  loseDeviceForTest(): void {
    this.#channel.loseDeviceForTest();
  }
  terminate(): void {
    this.#channel.terminate();
  }
}

const absolute = (url: string): string => new URL(url, globalThis.location?.href).href;

function usageOf(result: GenerateResult): CompletionUsage {
  const decoded = Math.max(0, result.n_step - 1);
  const rate = (n: number, seconds: number) => (seconds > 0 ? n / seconds : 0);
  return {
    prompt_tokens: result.prompt_tokens,
    completion_tokens: result.ids.length,
    total_tokens: result.prompt_tokens + result.ids.length,
    extra: {
      prefill_tokens_per_s: rate(result.prompt_tokens - result.reused_tokens, result.prefill_s),
      decode_tokens_per_s: rate(decoded, result.decode_s),
      time_to_first_token_s: result.prefill_s,
      time_per_output_token_s: decoded ? result.decode_s / decoded : 0,
      e2e_latency_s: result.prefill_s + result.decode_s,
      reused_tokens: result.reused_tokens,
      dispatches_per_token: result.dispatches_per_token,
      factoring: result.factoring,
    },
  };
}
