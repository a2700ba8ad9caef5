/** The page: three views of one engine, and the screens for when there is none. */
import { signal } from "@preact/signals";
import { render } from "preact";
import "./style.css";
import { Chat } from "./chat.js";
import { Loading, Note, Problem } from "./parts.js";
import { Picker } from "./picker.js";
import { Probe } from "./probe.js";
import { Spectrum } from "./spectrum.js";
import { device, lastRef, model, phase, problem, recover, start } from "./state.js";

const VIEWS = { chat: "Chat", spectrum: "Spectrum", probe: "Probe" } as const;
type View = keyof typeof VIEWS;
const viewOf = (hash: string): View => (hash.slice(1) in VIEWS ? (hash.slice(1) as View) : "chat");
const view = signal<View>(viewOf(location.hash));
addEventListener("hashchange", () => {
  view.value = viewOf(location.hash);
  scrollTo(0, 0);
});

function Unable() {
  return (
    <section class="screen" role="alert">
      <h1>This does not run here yet</h1>
      <p>{problem.value}</p>
      <p class="dim">
        Solo needs a GPU that the browser lets pages use. Update the browser, look at its WebGPU settings, or try
        another device. On Linux, Chrome may want <code>--enable-unsafe-webgpu</code> or{" "}
        <code>--enable-features=Vulkan</code>.
      </p>
      <button class="primary" onClick={() => void start()}>
        Try again
      </button>
    </section>
  );
}

function Lost() {
  return (
    <section class="screen" role="alert">
      <h1>The GPU went away</h1>
      <p>{problem.value || "The browser lost the GPU device."}</p>
      <p class="dim">
        A driver was reset or updated, the device slept, or another program took the memory. The conversation is kept,
        and so is the model{model.value ? ` ${model.value.name}` : ""}.
      </p>
      <button class="primary" onClick={() => void recover()}>
        {lastRef.value ? "Load the model again" : "Start again"}
      </button>
    </section>
  );
}

function Crashed() {
  return (
    <section class="screen" role="alert">
      <h1>The engine stopped</h1>
      <p>{problem.value}</p>
      <p class="dim">
        That is a fault of Solo or of the browser, not yours. The conversation is kept, and so is what was downloaded; the
        engine starts afresh.
      </p>
      <div class="row">
        {lastRef.value && (
          <button class="primary" onClick={() => void recover()}>
            Load the model again
          </button>
        )}
        <button class={lastRef.value ? "" : "primary"} onClick={() => void start()}>
          {lastRef.value ? "Choose another model" : "Start again"}
        </button>
      </div>
    </section>
  );
}

function Main() {
  if (phase.value === "unable") return <Unable />;
  if (phase.value === "lost") return <Lost />;
  if (phase.value === "crashed") return <Crashed />;
  if (phase.value === "starting") return <p class="screen dim">Starting the engine…</p>;
  if (view.value === "probe") return <Probe />;
  if (phase.value === "loading") return <Loading />;
  if (view.value === "spectrum") return <Spectrum />;
  return model.value ? <Chat /> : <Picker />;
}

function App() {
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => (event.preventDefault(), document.getElementById("main")?.focus())}
      >
        To the content
      </a>
      <header class="top">
        <span class="brand">Solo</span>
        <nav aria-label="Views">
          {(Object.keys(VIEWS) as View[]).map((name) => (
            <a key={name} href={`#${name}`} aria-current={view.value === name ? "page" : undefined}>
              {VIEWS[name]}
            </a>
          ))}
        </nav>
        <span class="where dim">{device.value?.name}</span>
      </header>
      <main id="main" tabIndex={-1}>
        {!["unable", "lost", "crashed"].includes(phase.value) && <Problem />}
        <Note />
        <Main />
      </main>
    </>
  );
}

render(<App />, document.getElementById("app")!);
void start();
