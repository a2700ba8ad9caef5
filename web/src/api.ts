/** The engine as a page sees it. Types only: what they describe lives in src/engine. The conventions are WebLLM's (which are
 *  OpenAI's), so that a page changes its import; what is Solo's own is marked so. */
import type { ModelRef, SourceProgress } from "./byte-source.js";

export type { ModelRef, SourceProgress };

/* ---- starting ----------------------------------------------------------------------------- */

export interface InitProgressReport {
  /** 0 to 1, over the whole of loading. */
  progress: number;
  /** Seconds since loading began. */
  timeElapsed: number;
  /** One line for a person: what is being done, how far it is. */
  text: string;
  /** Solo: which part, with its own bytes where it has some. */
  phase?: "wasm" | "device" | "head" | "weights" | "plan" | "ready";
  source?: SourceProgress;
}
export type InitProgressCallback = (report: InitProgressReport) => void;

/** One row of a table of models, as WebLLM's `appConfig.model_list`; `model` is the address of a .gguf here. */
export interface ModelRecord {
  model: string;
  model_id: string;
  sha256?: string;
  size?: number;
  overrides?: ChatOptions;
  [other: string]: unknown;
}
export interface AppConfig {
  model_list: ModelRecord[];
  [other: string]: unknown;
}

/** Solo: how tokens are computed. */
export interface PlanOptions {
  /** "single" (the default on a GPU), "stages" (on software adapters), "unfused", "roles", "layer", "chunk:N", "single-wg",
   *  "burst:K", "auto" (measured on this device). */
  factoring?: string;
  activations?: "int8" | "f32";
  /** Positions; 0 or absent: the model's, at most 4096. */
  n_ctx?: number;
  assignment?: "auto" | "static" | "ticket";
  kv_type?: "auto" | "f16" | "f32" | "int8";
  n_workgroup?: number;
  workgroup_size?: number;
  queue?: number;
  queue_across?: boolean;
  /** Steps submitted ahead of the one that is read; 0 or absent: 4. */
  n_in_flight?: number;
}

export interface ChatOptions extends PlanOptions {
  context_window_size?: number; // WebLLM's name for n_ctx
  temperature?: number;
  top_p?: number;
  [other: string]: unknown;
}

export interface EngineConfig {
  initProgressCallback?: InitProgressCallback;
  appConfig?: AppConfig;
  logLevel?: string;
  /** Solo: defaults for every model this engine loads. */
  plan?: PlanOptions;
  /** Solo: which build of the core: "auto" takes jspi where the browser has it. */
  build?: "auto" | "jspi" | "asyncify";
  /** Solo: a worker of one's own; see EngineHost. Absent: the package starts its own. */
  worker?: Worker;
}

/** An id of `appConfig.model_list`, an address of a .gguf, or a ModelRef. */
export type ModelName = string | ModelRef;

/* ---- chat --------------------------------------------------------------------------------- */

export interface TextPart {
  type: "text";
  text: string;
}
export interface ChatMessage {
  role: "system" | "user" | "assistant" | "tool" | "developer";
  content: string | TextPart[] | null;
  name?: string;
}

export interface SamplingOptions {
  /** 0: greedy. Absent: 1, as OpenAI has it, unless the model's ChatOptions say otherwise. */
  temperature?: number | null;
  top_p?: number | null;
  seed?: number | null;
  max_tokens?: number | null;
  max_completion_tokens?: number | null;
  stop?: string | string[] | null;
  repetition_penalty?: number | null; // WebLLM's
  /** Solo. */
  top_k?: number | null;
  min_p?: number | null;
  repeat_last_n?: number | null;
}

export interface ChatRequestBase extends SamplingOptions {
  messages: ChatMessage[];
  model?: string | null;
  n?: 1 | null;
  ignore_eos?: boolean; // WebLLM's
  /** Whether `solo_ids` (the ids of the answer, the end token left out) comes with the answer. */
  solo_ids?: boolean;
  [other: string]: unknown; // others are refused by name where they would change the answer
}
export interface ChatRequestStreaming extends ChatRequestBase {
  stream: true;
  stream_options?: { include_usage?: boolean } | null;
}
export interface ChatRequestNonStreaming extends ChatRequestBase {
  stream?: false | null;
}
export type ChatRequest = ChatRequestStreaming | ChatRequestNonStreaming;

export interface CompletionRequestBase extends SamplingOptions {
  prompt: string;
  echo?: boolean;
  ignore_eos?: boolean;
  solo_ids?: boolean;
  [other: string]: unknown;
}

/** stop: an end token or a stop text; length: max_tokens or the context's end; abort: interruptGenerate(). */
export type FinishReason = "stop" | "length" | "abort";

export interface CompletionUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  extra: {
    prefill_tokens_per_s: number;
    decode_tokens_per_s: number;
    time_to_first_token_s: number;
    time_per_output_token_s: number;
    e2e_latency_s: number;
    /** Solo: prompt tokens whose KV rows were still there. */
    reused_tokens: number;
    /** Solo: GPU dispatches a decoded token, counted at the device. */
    dispatches_per_token: number;
    factoring: string;
  };
}

export interface ChatCompletion {
  id: string;
  object: "chat.completion";
  created: number;
  model: string;
  choices: [
    {
      index: 0;
      message: { role: "assistant"; content: string };
      finish_reason: FinishReason;
      logprobs: null;
    },
  ];
  usage: CompletionUsage;
  solo_ids?: number[];
}
export interface ChatCompletionChunk {
  id: string;
  object: "chat.completion.chunk";
  created: number;
  model: string;
  /** One choice; none in the chunk that carries `usage`. */
  choices: {
    index: 0;
    delta: { role?: "assistant"; content?: string };
    finish_reason: FinishReason | null;
    logprobs: null;
  }[];
  usage?: CompletionUsage;
  solo_ids?: number[];
}
export interface Completion {
  id: string;
  object: "text_completion";
  created: number;
  model: string;
  choices: { index: 0; text: string; finish_reason: FinishReason | null; logprobs: null }[];
  usage?: CompletionUsage;
  solo_ids?: number[];
}

/* ---- what Solo adds ----------------------------------------------------------------------- */

export interface ModelInfo {
  name: string;
  arch: string;
  tokenizer: string;
  chat_family: string;
  file_type: string;
  n_layer: number;
  n_embd: number;
  n_head: number;
  n_head_kv: number;
  head_dim: number;
  n_ff: number;
  n_vocab: number;
  n_ctx_train: number;
  n_param: number;
  n_tensor: number;
  n_bytes: number;
}

/** Before a download: the file's head was read, nothing else. */
export interface Inspection {
  model: ModelInfo;
  file_bytes: number;
  /** Bytes the weights, and the KV cache at n_ctx, take on the GPU. */
  weight_bytes: number;
  kv_bytes: number;
  n_ctx: number;
  fits: boolean;
  /** Why not, or "". */
  why: string;
}

export interface StageInfo {
  name: string;
  scope: string;
  n_tile: number;
  tile_rows: number;
  team: number;
  weight_bytes: number;
  hand_off: string;
}
export interface PlanInfo {
  factoring: string;
  assignment: string;
  activations: string;
  kv_type: string;
  reduce: string;
  /** Dispatches for n_token tokens. */
  n_dispatch: number;
  n_token: number;
  n_workgroup: number;
  workgroup_size: number;
  workgroup_bytes: number;
  n_ctx: number;
  n_hand_off: number;
  weight_bytes: number;
  kv_bytes_per_pos: number;
  stages: StageInfo[];
  /** Why another factoring than the one asked for runs, or "". */
  note: string;
}

export interface DeviceInfo {
  name: string;
  backend: string;
  driver: string;
  is_software: boolean;
  has_subgroups: boolean;
  has_f16: boolean;
  subgroup_min: number;
  subgroup_max: number;
  max_workgroup_size: number;
  max_workgroup_bytes: number;
  max_storage_buffers: number;
  max_buffer_bytes: number;
  max_binding_bytes: number;
  /** As the browser says them. */
  vendor: string;
  architecture: string;
  features: string[];
  limits: Record<string, number>;
}

export interface ProbeOptions {
  /** Measures read bandwidth too (two seconds). Default true. */
  bandwidth?: boolean;
  workgroup_size?: number;
}
export interface ProbeResult {
  device: DeviceInfo;
  workgroup_size: number;
  workgroup_bytes: number;
  /** Workgroups seen running together; 1024: or more. */
  n_resident: number;
  read_bytes_s: number;
  dispatch_us: number;
  round_trip_us: number;
  /** By rising n_workgroup; empty: none kept meeting. */
  hand_off: { n_workgroup: number; us: number }[];
}

export interface BenchOptions {
  /** Names, or rows with a geometry of their own. Absent: every name of `factorings()`. */
  factorings?: (string | (PlanOptions & { factoring: string }))[];
  /** Tokens a sample; default 32, fewer on software adapters. */
  tokens?: number;
  /** Samples a factoring, taken in turn; default 3. */
  samples?: number;
  /** Positions in the context before the first sample; default 128. */
  positions?: number;
  warmup?: number;
  plan?: PlanOptions;
  /** A row as soon as it is known, again whenever it changes. */
  onRow?: (row: BenchRow) => void;
  /** Stops after the row at hand. */
  signal?: AbortSignal;
}
export interface BenchRow {
  factoring: string;
  /** Counted at the device. */
  dispatches_per_token: number;
  tokens_per_second: number; // of the median sample
  ms_per_token: number;
  samples_ms: number[]; // a token
  /** FNV-1a of the ids drawn, and of the bits of all logits after the prompt: equal for factorings of one geometry. */
  ids_hash: string;
  logits_hash: string;
  /** "ok"; "fell-back": its hand-offs gave up, the figures are another factoring's; "failed": note says why. */
  status: "ok" | "fell-back" | "failed";
  note: string;
  plan?: PlanInfo;
  /** Set on the fastest "ok" row of the last report. */
  winner?: boolean;
}
export interface BenchResult {
  rows: BenchRow[];
  device: DeviceInfo;
  model: ModelInfo;
  positions: number;
  tokens: number;
  version: string;
  build: "jspi" | "asyncify";
}

/** An experiment, multiplied out: docs/sweep.md has the forms of specs and results. */
export interface SweepSpec {
  name: string;
  title: string;
  question: string;
  /** Of its rows, in order. */
  keys: string[];
}
/** The first line of a result. */
export interface SweepHead {
  schema: "solo-sweep-1";
  what: "head";
  solo: string;
  commit: string;
  where: "native" | "page";
  date: string;
  webgpu: string;
  browser: string | null;
  toggles: string[];
  quick: boolean;
  device: Record<string, unknown>;
  probe: Record<string, unknown>;
  rates: Record<string, unknown>;
}
/** A further line: what a page shows of it; there is more. */
export interface SweepRow {
  what: "row";
  spec: string;
  key: string;
  settings: Record<string, unknown>;
  status: "ok" | "error" | "refused";
  reason?: string;
  tok_s?: number;
  ms_per_token?: number;
  dispatches_per_token?: number;
  of_read?: number | null;
  [other: string]: unknown;
}
export interface SweepCurves {
  device: string;
  probe: string;
  left_out: number;
  curves: {
    name: string;
    points: { factoring: string; dispatches: number; tok_s: number; fitted_tok_s: number | null }[];
    fit: { dispatch_us: number; hand_off_us: number; stage_us: number; worst: number } | null;
  }[];
}
export interface SweepOptions {
  /** A spec's JSON. */
  spec: string;
  /** Its file's name, for messages. */
  where?: string;
  /** The spec's small variant: seconds instead of minutes. */
  quick?: boolean;
  /** Keys of rows that were measured before. */
  skip?: string[];
  onRow?: (row: SweepRow) => void;
  /** Stops after the row at hand. */
  signal?: AbortSignal;
}

/** What went wrong; `status` is one of the C library's. */
export interface SoloErrorLike extends Error {
  status:
    | "FILE_IO" | "FILE_FORMAT" | "UNSUPPORTED" | "ARGUMENT" | "DEVICE_NONE" | "DEVICE_LIMIT" | "DEVICE_LOST"
    | "DEVICE_ERROR" | "CONTEXT_FULL" | "MEMORY" | "BUG";
}

/* ---- the engine --------------------------------------------------------------------------- */

export interface ChatCompletions {
  create(request: ChatRequestNonStreaming): Promise<ChatCompletion>;
  create(request: ChatRequestStreaming): Promise<AsyncIterable<ChatCompletionChunk>>;
  create(request: ChatRequest): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>>;
}
export interface Completions {
  create(request: CompletionRequestBase & { stream?: false | null }): Promise<Completion>;
  create(
    request: CompletionRequestBase & { stream: true; stream_options?: { include_usage?: boolean } | null },
  ): Promise<AsyncIterable<Completion>>;
}

export interface Engine {
  readonly chat: { readonly completions: ChatCompletions };
  readonly completions: Completions;

  /** Loads another model; without one the same again (after a lost device, for one). */
  reload(model?: ModelName, options?: ChatOptions): Promise<void>;
  unload(): Promise<void>;
  /** Ends the answer being written, which keeps what it has; finish_reason "abort". */
  interruptGenerate(): void;
  /** Forgets the context. */
  resetChat(keepStats?: boolean): Promise<void>;
  getMessage(): Promise<string>;
  runtimeStatsText(): Promise<string>;
  getGPUVendor(): Promise<string>;
  getMaxStorageBufferBindingSize(): Promise<number>;
  setInitProgressCallback(callback: InitProgressCallback): void;
  getInitProgressCallback(): InitProgressCallback | undefined;
  setLogLevel(level: string): void;
  setAppConfig(config: AppConfig): void;

  /** Solo: everything below. */
  inspect(model: ModelName, options?: { n_ctx?: number }): Promise<Inspection>;
  modelInfo(): Promise<ModelInfo>;
  planInfo(): Promise<PlanInfo>;
  /** The joined WGSL of the plan that runs. */
  planWgsl(): Promise<string>;
  deviceInfo(): Promise<DeviceInfo>;
  /** Another plan over the same weights. The conversation's rows are computed again by the next request. */
  setPlan(options: PlanOptions): Promise<PlanInfo>;
  factorings(): Promise<string[]>;
  bench(options?: BenchOptions): Promise<BenchResult>;
  probe(options?: ProbeOptions): Promise<ProbeResult>;
  /** An experiment on models that are made for it, by the code and the rules of `solo sweep`: a result's lines, the head first.
   *  A loaded model's plan makes room and is opened again. */
  sweep(options: SweepOptions): Promise<{ head: SweepHead; rows: SweepRow[] }>;
  sweepSpec(spec: string, options?: { where?: string; quick?: boolean }): Promise<SweepSpec>;
  /** What `solo plot` draws of these lines. */
  sweepCurves(lines: unknown[]): Promise<SweepCurves>;
  tokenize(text: string, options?: { add_bos?: boolean; parse_special?: boolean }): Promise<number[]>;
  detokenize(ids: number[]): Promise<string>;
  /** Called when the GPU device goes away. The next request loads the model again by itself. */
  onDeviceLost?: (message: string) => void;
  /** Called with sentences such as why a factoring was given up. */
  onNote?: (note: string) => void;
  /** Called when the worker ended though nobody asked it to (it crashed, the browser ran out of memory). Every request fails
   *  from then on: start another engine. */
  onStopped?: (message: string) => void;
  /** Ends the worker. */
  terminate(): void;
}

/** createEngine({model, ...}); without a model the engine starts and waits for reload(). */
export type CreateEngine = (options: EngineConfig & { model?: ModelName; chat?: ChatOptions }) => Promise<Engine>;
