/** The conversation: kept in this browser, written by the engine, shown as it comes. */
import { effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { CompletionUsage, FinishReason } from "../api.js";
import { Markdown } from "./markdown.js";
import { countText, Field, rateText } from "./parts.js";
import {
  chooseFactoring,
  factoring,
  factorings,
  idle,
  leaveModel,
  model,
  phase,
  plan,
  theEngine,
  working,
} from "./state.js";

interface Message {
  role: "user" | "assistant";
  content: string;
  finish?: FinishReason;
  usage?: CompletionUsage;
}
interface Sampling {
  temperature: number;
  top_p: number;
  top_k: number;
  min_p: number;
  repetition_penalty: number;
  max_tokens: number;
  seed: string; // "": another each time
}
const DEFAULT_SAMPLING: Sampling = {
  temperature: 0.7,
  top_p: 0.95,
  top_k: 40,
  min_p: 0,
  repetition_penalty: 1.1,
  max_tokens: 1024,
  seed: "",
};

function kept<T>(name: string, fallback: T): T {
  try {
    const value = JSON.parse(localStorage.getItem(name) ?? "null") as T | null;
    return value === null
      ? fallback
      : Array.isArray(fallback) || typeof fallback !== "object"
        ? value
        : { ...fallback, ...value };
  } catch {
    return fallback;
  }
}

const messages = signal<Message[]>(kept<Message[]>("solo.messages", []));
const system = signal(kept("solo.system", ""));
const sampling = signal(kept("solo.sampling", DEFAULT_SAMPLING));
const answering = signal<string | undefined>(undefined); // the answer as far as it is written
const pace = signal(0); // tokens a second so far
const draft = signal("");
const settings = signal(false);

effect(() => localStorage.setItem("solo.messages", JSON.stringify(messages.value)));
effect(() => localStorage.setItem("solo.system", JSON.stringify(system.value)));
effect(() => localStorage.setItem("solo.sampling", JSON.stringify(sampling.value)));

async function answer(): Promise<void> {
  const request = [
    ...(system.value.trim() ? [{ role: "system" as const, content: system.value }] : []),
    ...messages.value.map(({ role, content }) => ({ role, content })),
  ];
  const { seed, ...rest } = sampling.value;
  let text = "";
  let finish: FinishReason | undefined;
  let usage: CompletionUsage | undefined;
  answering.value = "";
  pace.value = 0;
  await working(async (engine) => {
    const chunks = await engine.chat.completions.create({
      messages: request,
      ...rest,
      seed: seed === "" ? Math.floor(Math.random() * 2 ** 31) : Number(seed),
      stream: true,
      stream_options: { include_usage: true },
    });
    let pieces = 0;
    let first = 0;
    let shown = 0;
    for await (const chunk of chunks) {
      const choice = chunk.choices[0];
      if (choice?.delta.content) {
        text += choice.delta.content;
        const now = performance.now();
        if (pieces++ === 0) first = now;
        else pace.value = ((pieces - 1) * 1000) / (now - first);
        // A frame's worth at a time: text may come faster than it can be drawn.
        if (now - shown > 30) {
          shown = now;
          answering.value = text;
          await new Promise(requestAnimationFrame);
        }
      }
      finish = choice?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
  });
  answering.value = undefined;
  if (text !== "" || finish) {
    messages.value = [
      ...messages.value,
      { role: "assistant", content: text, ...(finish && { finish }), ...(usage && { usage }) },
    ];
  }
}

function send(): void {
  const text = draft.value.trim();
  if (text === "" || !idle.value) return;
  draft.value = "";
  messages.value = [...messages.value, { role: "user", content: text }];
  void answer();
}

function regenerate(): void {
  const last = messages.value[messages.value.length - 1];
  if (!idle.value || !last) return;
  if (last.role === "assistant") messages.value = messages.value.slice(0, -1);
  void answer();
}

function clear(): void {
  messages.value = [];
  if (idle.value) void theEngine().resetChat();
}

function Stats({ usage, finish }: Message) {
  if (!usage) return null;
  const { extra, completion_tokens } = usage;
  const ends = { stop: "", length: " · cut at the limit", abort: " · stopped" } as const;
  return (
    <p class="stats dim">
      {rateText(extra.decode_tokens_per_s)} tok/s · {countText(extra.dispatches_per_token)} dispatches a token ·{" "}
      {extra.factoring} · {completion_tokens} tokens · first after {extra.time_to_first_token_s.toFixed(2)} s
      {finish && ends[finish]}
    </p>
  );
}

function Bubble({ message, live }: { message: Message; live?: boolean }) {
  const mine = message.role === "user";
  return (
    <article class={`message ${message.role}`} aria-label={mine ? "You" : "Answer"}>
      {mine ? <p class="said">{message.content}</p> : <Markdown text={message.content} />}
      {live && message.content === "" && <p class="dim">Reading the prompt…</p>}
      {live ? (
        <p class="stats dim">{pace.value > 0 ? `${rateText(pace.value)} tok/s` : "\u00a0"}</p>
      ) : (
        <Stats {...message} />
      )}
    </article>
  );
}

const NUMBERS: {
  name: keyof Omit<Sampling, "seed">;
  label: string;
  min: number;
  max: number;
  step: number;
  hint?: string;
}[] = [
  { name: "temperature", label: "Temperature", min: 0, max: 2, step: 0.05, hint: "0: always the likeliest" },
  { name: "top_p", label: "Top p", min: 0, max: 1, step: 0.01 },
  { name: "top_k", label: "Top k", min: 0, max: 1000, step: 1, hint: "0: off" },
  { name: "min_p", label: "Min p", min: 0, max: 1, step: 0.01, hint: "0: off" },
  { name: "repetition_penalty", label: "Repetition penalty", min: 1, max: 2, step: 0.05, hint: "1: off" },
  { name: "max_tokens", label: "Longest answer", min: 1, max: 32768, step: 1, hint: "tokens" },
];

function Settings() {
  const set = (part: Partial<Sampling>) => (sampling.value = { ...sampling.value, ...part });
  return (
    <section class="card settings" id="settings" aria-label="Settings">
      <Field label="System prompt">
        <textarea
          rows={3}
          value={system.value}
          onInput={(event) => (system.value = event.currentTarget.value)}
          placeholder="You are a helpful assistant."
        />
      </Field>
      <div class="grid">
        {NUMBERS.map(({ name, label, hint, ...range }) => (
          <Field key={name} label={label} {...(hint && { hint })}>
            <input
              type="number"
              {...range}
              value={sampling.value[name]}
              onChange={(event) => {
                const value = event.currentTarget.valueAsNumber;
                set({
                  [name]: Number.isFinite(value)
                    ? Math.min(range.max, Math.max(range.min, value))
                    : DEFAULT_SAMPLING[name],
                });
              }}
            />
          </Field>
        ))}
        <Field label="Seed" hint="empty: another each time">
          <input
            type="number"
            min={0}
            step={1}
            value={sampling.value.seed}
            onChange={(event) => set({ seed: event.currentTarget.value.replace(/\D/g, "") })}
          />
        </Field>
      </div>
      <button onClick={() => (sampling.value = DEFAULT_SAMPLING)}>Defaults</button>
    </section>
  );
}

export function FactoringPicker() {
  return (
    <label class="inline">
      <span>Factoring</span>
      <select
        value={factoring.value}
        disabled={!idle.value}
        onChange={(event) => void chooseFactoring(event.currentTarget.value)}
      >
        <option value="">by the device</option>
        {factorings.value.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Bar() {
  const now = plan.value;
  return (
    <div class="bar">
      <div class="grow">
        <h1>{model.value?.name}</h1>
        <span class="dim">
          {model.value?.file_type}
          {now && ` · ${countText(now.n_dispatch / Math.max(1, now.n_token))} dispatches a token (${now.factoring})`}
        </span>
      </div>
      <FactoringPicker />
      <button
        aria-expanded={settings.value}
        aria-controls="settings"
        onClick={() => (settings.value = !settings.value)}
      >
        Settings
      </button>
      <button disabled={!idle.value} onClick={() => void leaveModel()}>
        Change model
      </button>
    </div>
  );
}

const SUGGESTIONS = ["Why is the sky blue?", "Write a haiku about a lighthouse.", "Explain recursion to a child."];

function Log() {
  const end = useRef<HTMLDivElement>(null);
  const follow = useRef(true);
  const now = answering.value;
  useEffect(() => {
    const scroller = document.scrollingElement!;
    const look = () => (follow.current = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 120);
    addEventListener("scroll", look, { passive: true });
    return () => removeEventListener("scroll", look);
  }, []);
  useEffect(() => {
    if (follow.current) end.current?.scrollIntoView({ block: "end" });
  }, [messages.value.length, now]);
  return (
    // Busy while text streams in: a screen reader then says the whole answer, not each piece.
    <div class="log" role="log" aria-label="Conversation" aria-live="polite" aria-busy={now !== undefined}>
      {messages.value.length === 0 && now === undefined && (
        <div class="suggestions">
          {SUGGESTIONS.map((text) => (
            <button key={text} disabled={!idle.value} onClick={() => ((draft.value = text), send())}>
              {text}
            </button>
          ))}
        </div>
      )}
      {messages.value.map((message, i) => (
        <Bubble key={i} message={message} />
      ))}
      {now !== undefined && <Bubble message={{ role: "assistant", content: now }} live />}
      <div ref={end} class="end" />
    </div>
  );
}

export function Chat() {
  const box = useRef<HTMLTextAreaElement>(null);
  const busy = phase.value === "working";
  useEffect(() => box.current?.focus({ preventScroll: true }), []);
  return (
    <div class="chat">
      <Bar />
      {settings.value && <Settings />}
      <Log />
      <form class="composer" onSubmit={(event) => (event.preventDefault(), send(), box.current?.focus())}>
        <textarea
          ref={box}
          rows={2}
          aria-label="Message"
          placeholder="Write a message"
          title="Enter sends, Shift+Enter starts a line, Escape stops"
          value={draft.value}
          onInput={(event) => (draft.value = event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape" && busy) theEngine().interruptGenerate();
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            send();
          }}
        />
        <div class="buttons">
          {answering.value !== undefined ? (
            <button type="button" class="primary" onClick={() => theEngine().interruptGenerate()}>
              Stop
            </button>
          ) : (
            <button type="submit" class="primary" disabled={!idle.value || draft.value.trim() === ""}>
              Send
            </button>
          )}
          <button type="button" disabled={!idle.value || messages.value.length === 0} onClick={regenerate}>
            Regenerate
          </button>
          <button type="button" class="plain" disabled={busy || messages.value.length === 0} onClick={clear}>
            Clear
          </button>
        </div>
      </form>
    </div>
  );
}
