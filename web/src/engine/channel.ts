/** The page's side of the worker: calls as promises, what a call says meanwhile as callbacks. */
import { SoloError, type Status } from "../error.js";
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

export class Channel {
  readonly worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #stopped: SoloError | undefined; // why nobody answers any more
  onLost: ((message: string) => void) | undefined;
  onNote: ((note: string) => void) | undefined;
  onStopped: ((message: string) => void) | undefined;

  constructor(worker: Worker) {
    this.worker = worker;
    worker.addEventListener("message", (event) => this.#take(event.data as FromWorker));
    worker.addEventListener("error", (event) => {
      event.preventDefault(); // whoever waits is told
      this.#stop(`the engine's worker stopped: ${event.message || "it could not be loaded"}`);
    });
  }

  #take(message: FromWorker): void {
    if (message?.solo === "lost") return this.onLost?.(message.message);
    if (message?.solo === "note") return this.onNote?.(message.note);
    if (message?.solo === "hello") {
      void navigator.locks.request(message.lock, () => this.#stop("the engine's worker was ended: the browser may have run out of memory"));
      return;
    }
    if (!message?.solo) return;
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
        return pending.reject(new SoloError(message.status, message.message));
    }
  }

  #stop(why: string, status: Status = "BUG"): void {
    if (this.#stopped) return;
    this.#stopped = new SoloError(status, why);
    this.worker.terminate();
    this.onStopped?.(why);
    for (const pending of this.#pending.values()) pending.reject(this.#stopped);
    this.#pending.clear();
  }

  #post(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  /** Sends a call; its number serves to interrupt it. */
  begin<Name extends CallName>(name: Name, args: Calls[Name]["in"], listener: Listener = {}): { id: number; answer: Promise<Calls[Name]["out"]> } {
    const id = this.#nextId++;
    if (this.#stopped) return { id, answer: Promise.reject(this.#stopped) };
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
    this.onStopped = undefined; // whoever asks for it need not be told
    this.#stop("the engine was terminated", "ARGUMENT");
  }
}
