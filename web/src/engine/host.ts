/** The worker's side: takes calls off a queue, one at a time, since the core has one stack and the GPU one session. */
import type { OpenSource } from "../byte-source.js";
import { SoloError, statusOf, textOf } from "../error.js";
import type { Build } from "./core.js";
import type { CallName, Calls, FromWorker, ToWorker } from "./protocol.js";
import { Runtime } from "./runtime.js";

type Answers = { [Name in CallName]: (args: Calls[Name]["in"], id: number) => Promise<Calls[Name]["out"]> };

export class EngineHost {
  readonly #post: (message: FromWorker) => void;
  readonly #runtime: Runtime;
  readonly #answers: Answers;
  readonly #interrupted = new Set<number>();
  #queue: Promise<void> = Promise.resolve();
  #running = 0;

  constructor(post: (message: FromWorker) => void, openSource: OpenSource) {
    this.#post = post;
    const runtime = (this.#runtime = new Runtime(openSource, loadModule));
    runtime.onLost = (message) => post({ solo: "lost", message });
    runtime.onNote = (note) => post({ solo: "note", note });
    const reporter = (id: number) => {
      const begun = performance.now();
      return (report: Parameters<Parameters<Runtime["load"]>[2]>[0]) =>
        post({ solo: "progress", id, report: { ...report, timeElapsed: (performance.now() - begun) / 1000 } });
    };
    this.#answers = {
      start: ({ build }) => runtime.start(build),
      load: ({ ref, options }, id) => runtime.load(ref, options, reporter(id)),
      reload: (_, id) => runtime.reload(reporter(id)),
      unload: () => runtime.unload(),
      generate: (request, id) => runtime.generate(request, (text) => post({ solo: "text", id, text }), () => this.#interrupted.has(id)),
      resetChat: () => runtime.resetChat(),
      inspect: ({ ref, n_ctx }) => runtime.inspect(ref, n_ctx),
      modelInfo: () => runtime.modelInfo(),
      planInfo: () => runtime.planInfo(),
      planWgsl: () => runtime.planWgsl(),
      setPlan: (options) => runtime.setPlan(options),
      factorings: () => runtime.factorings(),
      deviceInfo: () => runtime.deviceInfo(),
      probe: (options) => runtime.probe(options),
      bench: (options, id) => runtime.bench(options, (row) => post({ solo: "row", id, row }), () => this.#interrupted.has(id)),
      sweep: (options, id) => runtime.sweep(options, (row) => post({ solo: "row", id, row }), () => this.#interrupted.has(id)),
      sweepSpec: (options) => runtime.sweepSpec(options),
      sweepCurves: ({ lines }) => runtime.sweepCurves(lines),
      tokenize: ({ text, ...options }) => runtime.tokenize(text, options),
      detokenize: ({ ids }) => runtime.detokenize(ids),
      memoryBytes: async () => runtime.memoryBytes,
    };
    // A lock is given back when its holder ends, however that comes: the page waits for this one.
    const lock = `solo-engine/${crypto.randomUUID()}`;
    void navigator.locks?.request(lock, () => {
      post({ solo: "hello", lock });
      return new Promise(() => {});
    });
  }

  /** For `onmessage`; messages that are not the engine's are left alone. */
  onmessage(event: MessageEvent): void {
    const message = event.data as ToWorker;
    if (message?.solo === "call") this.#queue = this.#queue.then(() => this.#answer(message));
    else if (message?.solo === "interrupt") this.#interrupted.add(message.id ?? this.#running);
    else if (message?.solo === "lose-device-for-test") this.#runtime.loseDeviceForTest();
  }

  async #answer({ id, name, args }: ToWorker & { solo: "call" }): Promise<void> {
    this.#running = id;
    try {
      const call = this.#answers[name] as (args: unknown, id: number) => Promise<unknown>;
      this.#post({ solo: "result", id, value: await call(args, id) });
    } catch (error) {
      this.#post({ solo: "error", id, status: statusOf(error), message: textOf(error) });
    }
    this.#running = 0;
    this.#interrupted.delete(id);
  }
}

async function loadModule(build: Build): Promise<WebAssembly.Module> {
  // Written out, so that bundlers see both files.
  const url =
    build === "jspi"
      ? new URL("../../wasm/solo.wasm", import.meta.url)
      : new URL("../../wasm/solo-asyncify.wasm", import.meta.url);
  const response = await fetch(url);
  if (!response.ok) throw new SoloError("FILE_IO", `${url}: wanted the core, found HTTP ${response.status}`);
  // Not compileStreaming: servers that do not know the type of .wasm are common, and it is small.
  return WebAssembly.compile(await response.arrayBuffer());
}
