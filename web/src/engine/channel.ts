/** The page's side of the worker: calls as promises, what a call says meanwhile as callbacks. */
import type { SoloErrorLike } from "../api.js";
import type { CallName, Calls, FromWorker, ToWorker } from "./protocol.js";

/** What a call reports before its answer. */
export interface Listener {
  text?: (text: string) => void;
  row?: (row: Extract<FromWorker, { solo: "row" }>["row"]) => void;
  progress?: (report: Extract<FromWorker, { solo: "progress" }>["report"]) => void;
}

interface Pending extends Listener {
  resolve: (value: never) => void;
  reject: (error: Error) => void;
}

/** As the page throws it: the core's status beside the message. */
class EngineError extends Error implements SoloErrorLike {
  override readonly name = "SoloError";
  readonly status: SoloErrorLike["status"];
  constructor(status: string, message: string) {
    super(message);
    this.status = status as SoloErrorLike["status"];
  }
}
export const engineError = (status: SoloErrorLike["status"], message: string): Error => new EngineError(status, message);

export class Channel {
  readonly worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  onLost: ((message: string) => void) | undefined;
  onNote: ((note: string) => void) | undefined;

  constructor(worker: Worker) {
    this.worker = worker;
    worker.addEventListener("message", (event) => this.#take(event.data as FromWorker));
    worker.addEventListener("error", (event) => {
      event.preventDefault(); // whoever waits is told
      this.#failAll(`the engine's worker stopped: ${event.message || "it could not be loaded"}`);
    });
  }

  #take(message: FromWorker): void {
    if (message?.solo === "lost") return this.onLost?.(message.message);
    if (message?.solo === "note") return this.onNote?.(message.note);
    if (!message?.solo || message.solo === "hello") return;
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    switch (message.solo) {
      case "text": return pending.text?.(message.text);
      case "row": return pending.row?.(message.row);
      case "progress": return pending.progress?.(message.report);
      case "result":
        this.#pending.delete(message.id);
        return pending.resolve(message.value as never);
      case "error":
        this.#pending.delete(message.id);
        return pending.reject(new EngineError(message.status, message.message));
    }
  }

  #failAll(why: string): void {
    for (const pending of this.#pending.values()) pending.reject(new EngineError("BUG", why));
    this.#pending.clear();
  }

  #post(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  /** Sends a call; its number serves to interrupt it. */
  begin<Name extends CallName>(name: Name, args: Calls[Name]["in"], listener: Listener = {}): { id: number; answer: Promise<Calls[Name]["out"]> } {
    const id = this.#nextId++;
    const answer = new Promise<Calls[Name]["out"]>((resolve, reject) => {
      this.#pending.set(id, { ...listener, resolve: resolve as (value: never) => void, reject });
    });
    this.#post({ solo: "call", id, name, args });
    return { id, answer };
  }
  call<Name extends CallName>(name: Name, args: Calls[Name]["in"], listener?: Listener): Promise<Calls[Name]["out"]> {
    return this.begin(name, args, listener).answer;
  }

  interrupt(id?: number): void {
    this.#post(id === undefined ? { solo: "interrupt" } : { solo: "interrupt", id });
  }
  loseDeviceForTest(): void {
    this.#post({ solo: "lose-device-for-test" });
  }
  terminate(): void {
    this.worker.terminate();
    this.#failAll("the engine was terminated");
  }
}
