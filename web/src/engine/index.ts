/** solo-engine: language models on the page's WebGPU, with WebLLM's conventions. */
import type { AppConfig, ChatOptions, CreateEngine, Engine, EngineConfig, ModelName } from "../api.js";
import { SoloEngine } from "./engine.js";
import { EngineHost } from "./host.js";
import type { FromWorker } from "./protocol.js";
import { openSource } from "../sources.js";

export type * from "../api.js";
export type { ByteSource, OpenSource } from "../byte-source.js";
export { SoloEngine };
/** WebLLM's names. */
export { SoloEngine as MLCEngine };
export type { Engine as MLCEngineInterface, EngineConfig as MLCEngineConfig } from "../api.js";
export type { InitProgressReport as InitProgress } from "../api.js";

export const createEngine: CreateEngine = async ({ model, chat, ...config }) => {
  const engine = new SoloEngine(config);
  try {
    await engine.started;
    if (model !== undefined) await engine.reload(model, chat);
  } catch (error) {
    engine.terminate();
    throw error;
  }
  return engine;
};

/** As WebLLM's: an id of `appConfig.model_list`, or an address of a .gguf. */
export function CreateMLCEngine(model: ModelName | string[], config: EngineConfig = {}, chat?: ChatOptions): Promise<Engine> {
  return createEngine({ ...config, model: Array.isArray(model) ? model[0]! : model, ...(chat ? { chat } : {}) });
}

/** No models are built in: pages list their own. */
export const prebuiltAppConfig: AppConfig = { model_list: [] };

/** As WebLLM's, for a page that brings its own worker: `onmessage = (event) => handler.onmessage(event)` there. */
export class WebWorkerMLCEngineHandler {
  readonly #host = new EngineHost((message: FromWorker) => (self as unknown as Worker).postMessage(message), openSource);
  onmessage(event: MessageEvent): void {
    this.#host.onmessage(event);
  }
}

/** As WebLLM's: the engine in that worker, instead of the one that the package starts. */
export function CreateWebWorkerMLCEngine(
  worker: Worker, model: ModelName | string[], config: EngineConfig = {}, chat?: ChatOptions,
): Promise<Engine> {
  return CreateMLCEngine(model, { ...config, worker }, chat);
}
