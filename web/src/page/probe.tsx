/** What this device is and does: limits as the browser says them, costs as measured, what that means for models. */
import { signal } from "@preact/signals";
import type { ProbeResult } from "../api.js";
import { bytesText } from "../load/error.js";
import { PRESETS } from "./models.js";
import { Figure, ScrollTable } from "./parts.js";
import { device, phase, working } from "./state.js";

const result = signal<ProbeResult | undefined>(undefined);
const copied = signal(false);

async function run(): Promise<void> {
  result.value = (await working((engine) => engine.probe())) ?? result.value;
}

async function copy(): Promise<void> {
  await navigator.clipboard.writeText(
    JSON.stringify({ page: navigator.userAgent, device: device.value, ...result.value }, null, 2),
  );
  copied.value = true;
  setTimeout(() => (copied.value = false), 2000);
}

const residentText = ({ n_resident }: ProbeResult): string => (n_resident >= 1024 ? "≥ 1024" : String(n_resident));

interface Verdict {
  what: string;
  ok: boolean;
  /** Nothing is missed without it. */
  optional?: boolean;
  why: string;
}

function verdicts(): Verdict[] {
  const now = device.value!;
  const most = 4 * Math.min(now.max_binding_bytes, now.max_buffer_bytes);
  const models = PRESETS.map(({ title, bytes }) => ({
    what: title,
    ok: bytes <= most,
    why: `${bytesText(bytes)} of weights; this device holds ${bytesText(most)}`,
  }));
  const met = result.value?.hand_off.length ?? 0;
  return [
    ...models,
    {
      what: "One dispatch a token",
      ok: !result.value || met > 0,
      why: !result.value
        ? "measure to know"
        : met > 0
          ? `${residentText(result.value)} workgroups run together and hand values over`
          : "workgroups of one dispatch do not meet; Solo then uses dispatch boundaries",
    },
    {
      what: "Subgroups",
      ok: now.has_subgroups,
      why: now.has_subgroups
        ? `${now.subgroup_min} to ${now.subgroup_max} lanes`
        : "sums go through workgroup memory, a little slower",
    },
    { what: "shader-f16", optional: true, ok: now.has_f16, why: now.has_f16 ? "there" : "not needed" },
  ];
}

function Measured({ probe }: { probe: ProbeResult }) {
  const handOff = probe.hand_off.at(-1);
  return (
    <dl class="figures">
      <Figure
        label="Read bandwidth"
        value={probe.read_bytes_s > 0 ? (probe.read_bytes_s / 1e9).toFixed(1) : "–"}
        unit="GB/s"
      />
      <Figure label="A dispatch" value={probe.dispatch_us.toFixed(1)} unit="µs" />
      <Figure label="Submit and wait" value={probe.round_trip_us.toFixed(0)} unit="µs" />
      <Figure label="Workgroups together" value={residentText(probe)} />
      <Figure
        label="A hand-off"
        value={handOff ? handOff.us.toFixed(2) : "none met"}
        unit={handOff ? `µs, ${handOff.n_workgroup} workgroups` : ""}
      />
    </dl>
  );
}

export function Probe() {
  const now = device.value;
  if (!now) return null;
  return (
    <div class="probe">
      <header class="hero">
        <h1>{now.name || [now.vendor, now.architecture].filter(Boolean).join(" ") || "This device"}</h1>
        <p>
          {[now.vendor, now.architecture, now.backend, now.driver].filter(Boolean).join(" · ")}
          {now.is_software && " · a software adapter: slow, and no measure of a GPU"}
        </p>
      </header>
      <section class="card">
        <div class="row">
          <button
            class="primary"
            disabled={phase.value !== "ready" && phase.value !== "empty"}
            onClick={() => void run()}
          >
            {phase.value === "working" ? "Measuring…" : "Measure"}
          </button>
          <button onClick={() => void copy()}>{copied.value ? "Copied" : "Copy as JSON"}</button>
        </div>
        {result.value ? (
          <Measured probe={result.value} />
        ) : (
          <p class="dim">Bandwidth, dispatches and hand-offs take a few seconds.</p>
        )}
      </section>
      <section class="card">
        <h2>What runs here</h2>
        <ul class="verdicts">
          {verdicts().map(({ what, ok, why, optional }) => (
            <li key={what}>
              <span class={ok ? "yes" : optional ? "no neutral" : "no"}>{ok ? "yes" : "no"}</span>
              <span>
                <strong>{what}</strong> <span class="dim">{why}</span>
              </span>
            </li>
          ))}
        </ul>
      </section>
      <section class="card">
        <h2>Features</h2>
        <p class="chips">
          {now.features.map((name) => (
            <code key={name}>{name}</code>
          ))}
        </p>
        <h2>Limits</h2>
        <ScrollTable label="Limits">
          {Object.entries(now.limits)
            .filter(([, value]) => typeof value === "number")
            .map(([name, value]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td class="n">
                  {/Size$/.test(name) && value > 99_999 ? bytesText(value) : value.toLocaleString("en")}
                </td>
              </tr>
            ))}
        </ScrollTable>
      </section>
    </div>
  );
}
