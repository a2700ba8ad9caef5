/** Every factoring on this device and model: tokens a second against dispatches a token, drawn as they come. */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { BenchResult, BenchRow } from "../api.js";
import { countText, download, Field, rateText, ScrollTable } from "./parts.js";
import { Experiments } from "./experiments.js";
import { ink } from "./plot.js";
import { dark, device, factorings, idle, model, working } from "./state.js";

const rows = signal<BenchRow[]>([]);
const result = signal<BenchResult | undefined>(undefined);
const chosen = signal<string[] | undefined>(undefined); // undefined: all
const size = signal({ tokens: 32, samples: 3, positions: 128 });
const busy = signal(false);
let stop: AbortController | undefined;

function keep(row: BenchRow): void {
  const others = rows.value.filter((each) => each.factoring !== row.factoring);
  rows.value = [...others, row].sort((a, b) => b.dispatches_per_token - a.dispatches_per_token);
}

async function run(): Promise<void> {
  const running = (stop = new AbortController());
  rows.value = [];
  result.value = undefined;
  busy.value = true;
  await working(async (engine) => {
    const { tokens, samples, positions } = size.value;
    const done = await engine.bench({
      factorings: chosen.value ?? factorings.value,
      tokens,
      samples,
      positions,
      onRow: keep,
      signal: running.signal,
    });
    result.value = done;
    done.rows.forEach(keep);
  });
  busy.value = false;
}

const timed = (): BenchRow[] => rows.value.filter((row) => row.status !== "failed" && row.tokens_per_second > 0);
const best = (): BenchRow | undefined =>
  rows.value.find((row) => row.winner) ??
  timed()
    .filter((row) => row.status === "ok")
    .sort((a, b) => b.tokens_per_second - a.tokens_per_second)[0];

/** Points with their names, the winner's larger; a name that would cover another one moves down. */
function drawPoints(u: uPlot, shown: BenchRow[], winner: BenchRow | undefined, accent: string, dim: string): void {
  const scale = devicePixelRatio;
  const { ctx } = u;
  const taken: { x: number; y: number }[] = [];
  ctx.save();
  ctx.font = `${12 * scale}px system-ui, sans-serif`;
  for (const row of shown) {
    const x = u.valToPos(row.dispatches_per_token, "x", true);
    const y = u.valToPos(row.tokens_per_second, "y", true);
    const wins = row.factoring === winner?.factoring;
    ctx.fillStyle = wins ? accent : dim;
    ctx.beginPath();
    ctx.arc(x, y, (wins ? 7 : 4.5) * scale, 0, 2 * Math.PI);
    ctx.fill();
    const left = x > u.bbox.left + u.bbox.width * 0.75;
    ctx.textAlign = left ? "right" : "left";
    let at = y + 4 * scale;
    while (taken.some((other) => Math.abs(other.x - x) < 80 * scale && Math.abs(other.y - at) < 13 * scale))
      at -= 13 * scale;
    taken.push({ x, y: at });
    ctx.fillText(wins ? `${row.factoring} ★` : row.factoring, x + (left ? -12 : 12) * scale, at);
  }
  ctx.restore();
}

function Chart() {
  const box = useRef<HTMLDivElement>(null);
  const points = timed();
  useEffect(() => {
    const at = box.current;
    if (!at || points.length === 0) return;
    const shown = [...points].sort((a, b) => a.dispatches_per_token - b.dispatches_per_token);
    const [accent, dim, line] = [ink(at, "--accent"), ink(at, "--dim"), ink(at, "--line")];
    const axis = {
      stroke: dim,
      grid: { stroke: line, width: 1 },
      ticks: { stroke: line },
      labelSize: 22,
      labelFont: "12px system-ui",
    };
    const most = Math.max(...shown.map((row) => row.dispatches_per_token));
    const least = Math.min(0.7, 0.6 * shown[0]!.dispatches_per_token);
    const decades = [0.1, 1, 10, 100, 1000, 10_000].filter((n) => n >= least && n <= 2 * most);
    const plot = new uPlot(
      {
        width: at.clientWidth,
        height: Math.min(360, Math.max(280, at.clientWidth * 0.5)),
        padding: [20, 16, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: false, distr: 3, range: () => [least, 3 * most] },
          y: { range: (_u, _min, max) => [0, max * 1.15] },
        },
        axes: [
          { ...axis, label: "dispatches a token", splits: () => decades, values: (_u, ticks) => ticks.map(String) },
          { ...axis, label: "tokens a second", size: 56 },
        ],
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: { draw: [(u) => drawPoints(u, shown, best(), accent, dim)] },
      },
      [shown.map((row) => row.dispatches_per_token), shown.map((row) => row.tokens_per_second)],
      at,
    );
    const watch = new ResizeObserver(() => plot.setSize({ width: at.clientWidth, height: plot.height }));
    watch.observe(at);
    return () => (watch.disconnect(), plot.destroy());
  }, [rows.value, dark.value]);
  const winner = best();
  return (
    <figure class="card chart">
      <div
        ref={box}
        role="img"
        aria-label={winner ? `Fastest so far: ${winner.factoring}. The table below has all figures.` : "No figures yet"}
      />
      {points.length === 0 && <p class="empty dim">Each factoring becomes a point here.</p>}
    </figure>
  );
}

function Table() {
  const winner = best();
  const agree = (row: BenchRow) =>
    winner && row.ids_hash && winner.ids_hash ? (row.ids_hash === winner.ids_hash ? "same" : "differ") : "";
  return (
    <ScrollTable label="Figures" columns={[["Factoring"], ["Dispatches a token", "n"], ["tok/s", "n"], ["ms a token", "n"], ["Tokens"], ["Note"]]}>
      {rows.value.map((row) => (
        <tr key={row.factoring} class={row === winner ? "winner" : ""}>
          <th scope="row">
            {row.factoring} {row === winner && <span title="fastest">★</span>}
          </th>
          <td class="n">{row.status === "failed" ? "–" : countText(row.dispatches_per_token)}</td>
          <td class="n">{row.tokens_per_second > 0 ? rateText(row.tokens_per_second) : "–"}</td>
          <td class="n">{row.ms_per_token > 0 ? row.ms_per_token.toFixed(2) : "–"}</td>
          <td>{agree(row)}</td>
          <td class="note">
            {row.status === "ok" ? "" : `${row.status}. `}
            {row.note}
          </td>
        </tr>
      ))}
    </ScrollTable>
  );
}

const SIZES = [
  ["tokens", "Tokens a sample", 1, 512],
  ["samples", "Samples", 1, 20],
  ["positions", "Positions before", 1, 4096],
] as const;

/** The factorings on the model that is loaded. */
function ThisModel() {
  const all = factorings.value;
  const picked = chosen.value ?? all;
  const toggle = (name: string) => {
    const next = picked.includes(name)
      ? picked.filter((each) => each !== name)
      : all.filter((each) => each === name || picked.includes(each));
    chosen.value = next.length === all.length ? undefined : next;
  };
  const running = busy.value;
  return (
    <>
      <section class="card">
        <h2>{model.value!.name}</h2>
        <fieldset class="checks" disabled={running}>
          <legend>Factorings</legend>
          {all.map((name) => (
            <label key={name}>
              <input type="checkbox" checked={picked.includes(name)} onChange={() => toggle(name)} /> {name}
            </label>
          ))}
        </fieldset>
        <div class="grid">
          {SIZES.map(([name, label, min, max]) => (
            <Field key={name} label={label}>
              <input
                type="number"
                min={min}
                max={max}
                value={size.value[name]}
                disabled={running}
                onChange={(event) => {
                  const value = event.currentTarget.valueAsNumber;
                  if (Number.isFinite(value))
                    size.value = { ...size.value, [name]: Math.min(max, Math.max(min, Math.round(value))) };
                }}
              />
            </Field>
          ))}
        </div>
        {device.value?.is_software && (
          <p class="dim">
            This is a software adapter: kernels of whole layers and tokens take minutes to compile on it, and the figures
            say nothing about a GPU.
          </p>
        )}
        <div class="row">
          {running ? (
            <button class="primary" onClick={() => stop?.abort()}>
              Stop after this one
            </button>
          ) : (
            <button class="primary" disabled={!idle.value || picked.length === 0} onClick={() => void run()}>
              Run
            </button>
          )}
          <button
            disabled={rows.value.length === 0}
            onClick={() => download("solo-spectrum.json", result.value ?? { rows: rows.value })}
          >
            Download JSON
          </button>
          <span class="dim" role="status">
            {running
              ? `${rows.value.length} of ${picked.length} begun`
              : result.value && best()
                ? `Fastest: ${best()!.factoring}`
                : ""}
          </span>
        </div>
      </section>
      <Chart />
      {rows.value.length > 0 && <Table />}
    </>
  );
}

export function Spectrum() {
  return (
    <div class="spectrum">
      <header class="hero">
        <h1>How many dispatches should a token take?</h1>
        <p>
          The same kernels, grouped from over five hundred dispatches a token to one for several, timed on{" "}
          {device.value?.name || "this device"}
          {model.value ? "" : ". With a model loaded its factorings are timed too"}.
        </p>
      </header>
      {model.value && <ThisModel />}
      <Experiments />
    </div>
  );
}
