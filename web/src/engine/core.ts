/** One instance of the core: solo.h's functions, as promises where they may wait. Two builds of the same code: "jspi" suspends the
 *  wasm stack itself, "asyncify" unwinds and rewinds it by instrumented code, for browsers that cannot. Calls must not overlap:
 *  they would share one C stack; whoever owns a Core serialises. */
import type { ByteSource, ModelFolder } from "../byte-source.js";
import { SoloError, textOf, type Status } from "../error.js";
import { Memory } from "../glue/memory.js";
import { WebGpu } from "../glue/webgpu.js";
import { wasiImports } from "../glue/wasi.js";

export type Build = "jspi" | "asyncify";

interface Jspi {
  Suspending: new (call: (...args: never[]) => unknown) => (...args: never[]) => unknown;
  promising: (call: (...args: never[]) => unknown) => (...args: (number | bigint)[]) => Promise<number>;
}
const jspi = WebAssembly as unknown as Partial<Jspi>;
export const hasJspi = (): boolean => typeof jspi.Suspending === "function" && typeof jspi.promising === "function";

/** Bytes of the core's stack that asyncify keeps while it waits. */
const UNWOUND_BYTES = 256 * 1024;

const NORMAL = 0;
const REWINDING = 2;

/** Imports and exports of the asyncify build: a call that meets a wait returns early, is called again once the wait is over,
 *  and then runs on from where it was. */
class Asyncify {
  #exports!: Record<string, (...args: (number | bigint)[]) => number>;
  #data = 0;
  #waiting: Promise<number> | undefined;
  #value = 0;

  begin(exports: WebAssembly.Exports, memory: Memory): void {
    this.#exports = exports as never;
    this.#data = memory.alloc(8 + UNWOUND_BYTES);
    memory.setU32(this.#data, this.#data + 8);
    memory.setU32(this.#data + 4, this.#data + 8 + UNWOUND_BYTES);
  }

  suspending(call: (...args: never[]) => number | Promise<number>): (...args: never[]) => number {
    return (...args) => {
      if (this.#exports["asyncify_get_state"]!() === REWINDING) {
        this.#exports["asyncify_stop_rewind"]!();
        return this.#value;
      }
      const result = call(...args);
      if (typeof result === "number") return result;
      this.#waiting = result;
      this.#exports["asyncify_start_unwind"]!(this.#data);
      return 0;
    };
  }

  promising(call: (...args: never[]) => unknown): (...args: (number | bigint)[]) => Promise<number> {
    return async (...args) => {
      let result = call(...(args as never[])) as number;
      while (this.#exports["asyncify_get_state"]!() !== NORMAL) {
        this.#exports["asyncify_stop_unwind"]!();
        this.#value = await this.#waiting!;
        this.#exports["asyncify_start_rewind"]!(this.#data);
        result = call(...(args as never[])) as number;
      }
      return result;
    };
  }
}

/** Functions that may wait: all that reach the GPU's answers or a model's bytes. */
const WAITING = [
  "solo_model_open", "solo_device_list", "solo_device_open", "solo_device_close", "solo_device_probe", "solo_device_probe_rates", "solo_weights_open",
  "solo_weights_close", "solo_plan_open", "solo_plan_close", "solo_tune", "solo_tune_open", "solo_session_open",
  "solo_session_close", "solo_session_sync", "solo_session_next", "solo_session_logits", "solo_session_set_sampling", "solo_web_sweep_open",
  "solo_web_sweep_close", "solo_web_sweep_row",
];

export type ProgressListener = (done: number, total: number) => void;

export class Core {
  readonly build: Build;
  readonly memory: Memory;
  readonly webgpu: WebGpu;
  readonly #exports: Record<string, (...args: (number | bigint)[]) => number>;
  readonly #waiting = new Map<string, (...args: (number | bigint)[]) => Promise<number>>();
  readonly #sources = new Map<number, ByteSource>();
  readonly #folders = new Map<number, { folder: ModelFolder; files: number[] }>();
  readonly #listeners = new Map<number, ProgressListener>();
  #nextNumber = 1;
  #readError: unknown;
  #lastWords = "";
  /** A trap leaves the instance in no state to go on. */
  broken = false;

  private constructor(build: Build, exports: WebAssembly.Exports, memory: Memory, webgpu: WebGpu) {
    this.build = build;
    this.#exports = exports as never;
    this.memory = memory;
    this.webgpu = webgpu;
  }

  static async load(build: Build, module: WebAssembly.Module, gpu: GPU | undefined): Promise<Core> {
    let core!: Core;
    let memory!: Memory;
    let table!: WebAssembly.Table;
    const asyncify = new Asyncify();
    const webgpu = new WebGpu(gpu, () => memory, () => table);
    type Waiting = (...args: never[]) => number | Promise<number>;
    const suspending = (call: Waiting) =>
      build === "jspi" ? new jspi.Suspending!(call) : asyncify.suspending(call);
    const { env, waitAny } = webgpu.imports();
    const instance = await WebAssembly.instantiate(module, {
      env: { ...env, wgpuInstanceWaitAny: suspending(waitAny) } as WebAssembly.ModuleImports,
      solo: {
        read: suspending((source: number, off: number, n: number, into: number) => core.#read(source, off, n, into >>> 0)),
        open: suspending((folder: number, name: number, size: number) => core.#open(folder, memory.cString(name), size >>> 0)),
        progress: (what: number, done: number, total: number) => core.#listeners.get(what)?.(done, total),
      } as WebAssembly.ModuleImports,
      wasi_snapshot_preview1: wasiImports(() => memory, (text) => core.#say(text)) as WebAssembly.ModuleImports,
    });
    const exports = instance.exports as Record<string, (...args: never[]) => unknown>;
    memory = new Memory(instance.exports);
    table = instance.exports["__indirect_function_table"] as unknown as WebAssembly.Table;
    core = new Core(build, instance.exports, memory, webgpu);
    (exports["_initialize"] as () => void)();
    memory.readLayout();
    if (build === "asyncify") asyncify.begin(instance.exports, memory);
    const promising = (call: (...args: never[]) => unknown) =>
      build === "jspi" ? jspi.promising!(call) : asyncify.promising(call);
    for (const name of WAITING) core.#waiting.set(name, promising(exports[name]!));
    return core;
  }

  #say(text: string): void {
    this.#lastWords = (this.#lastWords + text).slice(-2000);
  }

  async #read(source: number, off: number, n: number, into: number): Promise<number> {
    try {
      const from = this.#sources.get(source);
      if (!from) throw new SoloError("FILE_IO", "the source was closed");
      await from.read(off, this.memory.bytes.subarray(into, into + n));
      return 1;
    } catch (error) {
      this.#readError = error;
      return 0;
    }
  }

  /** A file of a folder: its number, 0: there is none, -1: it cannot be told. */
  async #open(folder: number, name: string, size: number): Promise<number> {
    try {
      const from = this.#folders.get(folder);
      if (!from) throw new SoloError("FILE_IO", "the folder was closed");
      const file = await from.folder.open(name, this.memory.view.getFloat64(size, true));
      if (!file) return 0;
      this.memory.view.setFloat64(size, file.size, true);
      const number = this.addSource(file);
      from.files.push(number);
      return number;
    } catch (error) {
      this.#readError = error;
      return -1;
    }
  }

  addFolder(folder: ModelFolder): number {
    const number = this.#nextNumber++;
    this.#folders.set(number, { folder, files: [] });
    return number;
  }

  /** A number for a source, by which the core asks for its bytes. */
  addSource(source: ByteSource): number {
    const number = this.#nextNumber++;
    this.#sources.set(number, source);
    return number;
  }
  /** Of a source or a folder. */
  closeSource(number: number): void {
    this.#sources.get(number)?.close();
    this.#sources.delete(number);
    const folder = this.#folders.get(number);
    this.#folders.delete(number);
    folder?.files.forEach((file) => this.#sources.delete(file));
    folder?.folder.close();
  }

  /** For the time of a call: the two fields of a desc that say whom to tell. */
  async withProgress<T>(listener: ProgressListener, call: (callback: number, user: number) => Promise<T>): Promise<T> {
    const user = this.#nextNumber++;
    this.#listeners.set(user, listener);
    try {
      return await call(this.callNow("solo_web_progress_callback"), user);
    } finally {
      this.#listeners.delete(user);
    }
  }

  /** Whatever unwinds C code by force, a trap of its own or an exception of what it called, leaves its stack as it was. */
  #trap(error: unknown): never {
    this.broken = true;
    throw new SoloError("BUG", `${this.#lastWords.trim() || "the core stopped"} (${textOf(error)})`);
  }

  /** A function that never waits. */
  callNow(name: string, ...args: (number | bigint)[]): number {
    try {
      return this.#exports[name]!(...args);
    } catch (error) {
      this.#trap(error);
    }
  }

  /** A function that may wait and has no solo_error. */
  async call(name: string, ...args: (number | bigint)[]): Promise<number> {
    try {
      return await this.#waiting.get(name)!(...args);
    } catch (error) {
      this.#trap(error);
    }
  }

  /** A function that returns bool and takes a solo_error last: throws what it says. */
  async try(name: string, ...args: (number | bigint)[]): Promise<void> {
    const error = this.memory.alloc(this.memory.number("solo_error"));
    this.#readError = undefined;
    try {
      const waits = this.#waiting.has(name);
      const ok = waits ? await this.call(name, ...args, error) : this.callNow(name, ...args, error);
      if (ok & 0xff) return;
      if (this.#readError !== undefined) throw this.#readError; // the page knows better than the core why
      throw this.errorAt(error);
    } finally {
      if (!this.broken) this.memory.free(error);
    }
  }

  /** The solo_error at `at`. */
  errorAt(at: number): SoloError {
    const status = this.memory.statusNames[this.memory.getNumber("solo_error.status", at)] ?? "BUG";
    return new SoloError(status as Status, this.memory.get("solo_error.text", at) as string);
  }

  /** solo_x_open(&x, desc, err): returns x. */
  async open(name: string, desc: number): Promise<number> {
    const out = this.memory.alloc(4);
    try {
      await this.try(name, out, desc);
      return this.memory.u32(out);
    } finally {
      if (!this.broken) this.memory.free(out);
    }
  }

  /** solo_x_get_info(x): the struct it returns, read. */
  info(name: string, struct: string, of: number) {
    const at = this.memory.alloc(this.memory.number(struct));
    this.callNow(name, at, of);
    const fields = this.memory.read(struct, at);
    return { fields, at, free: () => this.memory.free(at) };
  }
}
