/** The one engine of the page and what it is doing, as signals; loading, leaving, losing and getting it back. */
import { computed, signal } from "@preact/signals";
import type { DeviceInfo, InitProgressReport, ModelInfo, ModelRef, PlanInfo, SourceProgress } from "../api.js";
import { SoloEngine } from "../engine/engine.js";
import { SoloError, textOf } from "../error.js";
import { parseAddress } from "../load/address.js";
import { bytesText } from "../load/error.js";

/** starting → empty → loading → ready ⇄ working; lost: the GPU went away; crashed: the engine did; unable: this browser or
 *  device cannot. */
export type Phase = "starting" | "unable" | "empty" | "loading" | "ready" | "working" | "lost" | "crashed";

export const phase = signal<Phase>("starting");
export const problem = signal(""); // the last thing that went wrong, for a person
export const note = signal("");
export const report = signal<InitProgressReport | undefined>(undefined);
export const source = signal<SourceProgress | undefined>(undefined);
export const model = signal<ModelInfo | undefined>(undefined);
export const plan = signal<PlanInfo | undefined>(undefined);
export const device = signal<DeviceInfo | undefined>(undefined);
export const factorings = signal<string[]>([]);
export const factoring = signal(localStorage.getItem("solo.factoring") ?? "");
export const lastRef = signal<ModelRef | undefined>(undefined);
/** Whether the engine takes a request now. */
export const idle = computed(() => phase.value === "ready");

const darkScheme = matchMedia("(prefers-color-scheme: dark)");
export const dark = signal(darkScheme.matches);
darkScheme.addEventListener("change", (event) => (dark.value = event.matches));

let engine: SoloEngine | undefined;

export function theEngine(): SoloEngine {
  if (!engine) throw new Error("the engine is not running");
  return engine;
}

/** Starts the worker and opens the device; "unable" says why neither works. */
export async function start(): Promise<void> {
  engine?.terminate();
  phase.value = "starting";
  problem.value = note.value = "";
  report.value = source.value = model.value = plan.value = undefined;
  if (!("gpu" in navigator)) return unable(noWebGpu());
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "solo" });
  worker.addEventListener("message", ({ data }) => data?.page === "source" && (source.value = data.source));
  const started = (engine = new SoloEngine({ worker, initProgressCallback: (said) => (report.value = said) }));
  engine.onNote = (text) => (note.value = text);
  engine.onDeviceLost = (message) => {
    if (started !== engine) return;
    problem.value = message;
    phase.value = "lost";
  };
  engine.onStopped = (message) => {
    if (started === engine && phase.value !== "starting") crashed(message);
  };
  try {
    await engine.started;
    device.value = await engine.deviceInfo();
    factorings.value = await engine.factorings();
    phase.value = "empty";
  } catch (error) {
    if (started === engine) unable(textOf(error));
  }
}

function unable(why: string): void {
  problem.value = why;
  phase.value = "unable";
}

/** What must never happen, did: nothing of the engine is of use. */
function crashed(why: string): void {
  problem.value = why;
  phase.value = "crashed";
}
const isCrash = (error: unknown): boolean => error instanceof SoloError && error.status === "BUG";
/** Whether a screen of its own says what is wrong. */
const isOver = (): boolean => ["lost", "crashed"].includes(phase.value);

function noWebGpu(): string {
  return window.isSecureContext
    ? "This browser has no WebGPU. Recent Chrome, Edge, Safari and Firefox have it; in some it is behind a setting."
    : "WebGPU is only given to pages that come over https, or from localhost.";
}

/** A failure of loading, with the address it is about and what may be behind it. */
function failureText(error: unknown, ref: ModelRef, hint: string): string {
  const text = textOf(error);
  if (!("url" in ref)) return text;
  const { url } = parseAddress(ref.url, location.href);
  return [text, !text.includes(url) && `The address is ${url}`, hint].filter(Boolean).join(" ");
}

/** `hint`: a sentence for when the address does not have the model. */
export async function load(ref: ModelRef, hint = ""): Promise<void> {
  const mine = theEngine();
  phase.value = "loading";
  problem.value = note.value = "";
  report.value = source.value = model.value = plan.value = undefined;
  lastRef.value = ref;
  void navigator.storage?.persist?.(); // a kept model should not be swept away when the disk gets full
  try {
    report.value = { progress: 0, timeElapsed: 0, text: "Looking whether the model fits this device" };
    const looked = await mine.inspect(ref);
    if (!looked.fits) {
      const { why, model, file_bytes } = looked;
      throw new Error(
        `${model.name} (${bytesText(file_bytes)}) does not fit this device, and was not downloaded: ${why}`,
      );
    }
    await mine.reload(ref, factoring.value ? { factoring: factoring.value } : {});
    model.value = await mine.modelInfo();
    plan.value = await mine.planInfo();
    device.value = await mine.deviceInfo();
    phase.value = "ready";
    remember(ref);
  } catch (error) {
    if (mine !== engine || isOver()) return; // stopped by hand, or another screen says it
    if (isCrash(error)) return crashed(textOf(error));
    const elsewhere = error instanceof SoloError && ["FILE_IO", "FILE_FORMAT"].includes(error.status);
    problem.value = failureText(error, ref, elsewhere ? hint : "");
    phase.value = "empty";
  }
}

/** What the next visit offers first. Files and bytes cannot be remembered. */
function remember(ref: ModelRef): void {
  if ("url" in ref) localStorage.setItem("solo.model", ref.url);
}
export const remembered = (): string => localStorage.getItem("solo.model") ?? "";

/** A download has no other way to be stopped than with its worker; what has come is kept. */
export const stopLoading = (): Promise<void> => start();

export async function leaveModel(): Promise<void> {
  await theEngine().unload();
  model.value = plan.value = undefined;
  phase.value = "empty";
}

/** After a lost device or a crash: a fresh worker, and the same model again. */
export async function recover(): Promise<void> {
  const ref = lastRef.value;
  await start();
  if (ref && (phase.value as Phase) === "empty") await load(ref);
}

/** Runs `what` while nothing else may; an error becomes `problem` unless another screen says it. */
export async function working<T>(what: (engine: SoloEngine) => Promise<T>): Promise<T | undefined> {
  const before = phase.value;
  const mine = theEngine();
  phase.value = "working";
  problem.value = "";
  try {
    return await what(mine);
  } catch (error) {
    if (mine !== engine || isOver()) return undefined;
    if (isCrash(error)) crashed(textOf(error));
    else problem.value = textOf(error);
    return undefined;
  } finally {
    if (phase.value === "working") phase.value = before;
  }
}

export async function chooseFactoring(name: string): Promise<void> {
  factoring.value = name;
  localStorage.setItem("solo.factoring", name);
  if (!model.value) return;
  await working(async (engine) => {
    note.value = "";
    plan.value = await engine.setPlan(name ? { factoring: name } : { factoring: undefined });
  });
}
