/** The experiments of bench/specs, as `solo sweep` runs them: the same specs, checks and rules, the same curve, one result file
 *  that the tools of the repository read. Models are made on the spot: nothing is downloaded. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { SweepCurves, SweepHead, SweepRow, SweepSpec } from "../api.js";
import { countText, rateText, save, ScrollTable } from "./parts.js";
import { curveColor, Plot } from "./plot.js";
import { dark, device, phase, working } from "./state.js";

declare const __SOLO_COMMIT__: string;

const SPECS = Object.entries(import.meta.glob<string>("../../../bench/specs/*.json", { query: "?raw", import: "default", eager: true }))
  .map(([path, text]) => ({ where: path.split("/").pop()!, text, ...(JSON.parse(text) as { name: string; title: string; question: string; origin?: string }) }))
  .sort((a, b) => Number(b.name === "spectrum") - Number(a.name === "spectrum") || a.name.localeCompare(b.name));

const chosen = signal(SPECS[0]!.name);
const quick = signal(true);
const plan = signal<SweepSpec | undefined>(undefined); // of what is chosen
const head = signal<SweepHead | undefined>(undefined);
const rows = signal<SweepRow[]>([]);
const curves = signal<SweepCurves | undefined>(undefined);
const busy = signal(false);
let stop: AbortController | undefined;

const spec = () => SPECS.find((each) => each.name === chosen.value)!;
const options = () => ({ spec: spec().text, where: spec().where, quick: quick.value });
const isIdle = () => phase.value === "ready" || phase.value === "empty";

/** How many rows the choice has; what was measured of another one goes. */
async function look(): Promise<void> {
  [rows.value, head.value, curves.value, plan.value] = [[], undefined, undefined, undefined];
  plan.value = await working((engine) => engine.sweepSpec(options().spec, options()));
}

const lines = (): unknown[] => [head.value ?? { what: "head", device: { name: device.value?.name ?? "" }, probe: {} }, ...rows.value];

async function run(): Promise<void> {
  const running = (stop = new AbortController());
  busy.value = true;
  await working(async (engine) => {
    const done = await engine.sweep({
      ...options(),
      skip: rows.value.map((row) => row.key), // an interrupted sweep goes on
      signal: running.signal,
      onRow: (row) => (rows.value = [...rows.value, row]),
    });
    head.value = { ...done.head, commit: __SOLO_COMMIT__ };
    curves.value = await engine.sweepCurves(lines());
  });
  busy.value = false;
}

const fileName = (): string =>
  `${[device.value?.name || "device", head.value!.browser, head.value!.date, chosen.value].join("-").toLowerCase().replace(/[^a-z0-9]+/g, "-")}.jsonl`;

/** What of a row's key is not the spec's name. */
const shortKey = (row: SweepRow): string => row.key.replace(/^[\w-]+: /, "");

function Rows() {
  return (
    <ScrollTable label="Rows" columns={[["Row"], ["Dispatches a token", "n"], ["tok/s", "n"], ["Result"]]}>
      {rows.value.map((row) => (
        <tr key={row.key}>
          <th scope="row">{shortKey(row)}</th>
          <td class="n">{row.dispatches_per_token === undefined ? "–" : countText(row.dispatches_per_token)}</td>
          <td class="n">{row.tok_s === undefined ? "–" : rateText(row.tok_s)}</td>
          <td class="note">{row.status === "ok" ? "ok" : `${row.status}: ${row.reason}`}</td>
        </tr>
      ))}
    </ScrollTable>
  );
}

function Fits({ curves: { curves } }: { curves: SweepCurves }) {
  return (
    <ul class="fits">
      {curves.map(({ name, fit }, i) => (
        <li key={name}>
          <span class="swatch" style={{ background: curveColor(i, dark.value) }} /> {name}
          {fit && (
            <span class="dim">
              {" "}
              – fitted: a dispatch {fit.dispatch_us.toFixed(2)} µs, a hand-off {fit.hand_off_us.toFixed(2)} µs, a stage{" "}
              {fit.stage_us.toFixed(2)} µs; at most {(100 * fit.worst).toFixed(0)} % off
            </span>
          )}
        </li>
      ))}
    </ul>
  );
}

export function Experiments() {
  useEffect(() => {
    if (!plan.value && isIdle()) void look();
  }, [chosen.value, quick.value, phase.value]);
  const running = busy.value;
  const all = plan.value?.keys.length ?? 0;
  const change = (what: () => void) => {
    what();
    plan.value = undefined;
  };
  return (
    <>
      <section class="card">
        <h2>Experiments</h2>
        <div class="row">
          <label class="inline">
            <span>Spec</span>
            <select disabled={running} value={chosen.value} onChange={(event) => change(() => (chosen.value = event.currentTarget.value))}>
              {SPECS.map(({ name, title }) => (
                <option key={name} value={name}>
                  {name}: {title}
                </option>
              ))}
            </select>
          </label>
          <label>
            <input type="checkbox" disabled={running} checked={quick.value} onChange={() => change(() => (quick.value = !quick.value))} /> Quick
          </label>
        </div>
        <p>{spec().question}</p>
        <p class="dim">
          {spec().origin && `After ${spec().origin}. `}
          {all > 0 && `${all} rows on models of random weights, made here. `}
          Each row's output is checked before it is timed.
        </p>
        <div class="row">
          {running ? (
            <button class="primary" onClick={() => stop?.abort()}>
              Stop after this row
            </button>
          ) : (
            <button class="primary" disabled={!isIdle() || all === 0 || rows.value.length === all} onClick={() => void run()}>
              {rows.value.length > 0 && rows.value.length < all ? "Go on" : "Run the experiment"}
            </button>
          )}
          <button
            disabled={!head.value || rows.value.length === 0}
            onClick={() => save(fileName(), lines().map((line) => `${JSON.stringify(line)}\n`).join(""), "application/jsonl")}
          >
            Download the result
          </button>
          <span class="dim" role="status">
            {all > 0 && `${rows.value.length} of ${all} rows`}
          </span>
        </div>
      </section>
      {curves.value && <Plot curves={curves.value.curves} dark={dark.value} />}
      {curves.value && <Fits curves={curves.value} />}
      {rows.value.length > 0 && <Rows />}
    </>
  );
}
