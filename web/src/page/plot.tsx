/** Curves as `solo plot` draws them: tokens a second against dispatches a token, both by powers of ten, points with their names,
 *  dashed lines through what the fitted costs say. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { SweepCurves } from "../api.js";

type Curve = SweepCurves["curves"][number];

/** A variable of the style sheet as a color that a canvas takes. */
export function ink(at: HTMLElement, name: string): string {
  at.style.color = `var(${name})`;
  const color = getComputedStyle(at).color;
  at.style.color = "";
  return color;
}

const HUES = [172, 28, 265, 210, 340, 95, 50, 300];
export const curveColor = (i: number, dark: boolean): string => `hsl(${HUES[i % HUES.length]} 65% ${dark ? 62 : 36}%)`;

/** Names beside their points; one that would cover another moves up. */
function drawCurve(u: uPlot, curve: Curve, color: string, taken: { x: number; y: number }[]): void {
  const scale = devicePixelRatio;
  const { ctx } = u;
  const place = (dispatches: number, rate: number) => [u.valToPos(dispatches, "x", true), u.valToPos(rate, "y", true)] as const;
  ctx.save();
  ctx.font = `${12 * scale}px system-ui, sans-serif`;
  ctx.fillStyle = ctx.strokeStyle = color;
  ctx.lineWidth = 1.5 * scale;
  ctx.setLineDash([5 * scale, 4 * scale]);
  ctx.beginPath();
  for (const { dispatches, fitted_tok_s } of curve.points)
    if (fitted_tok_s !== null) ctx.lineTo(...place(dispatches, fitted_tok_s));
  ctx.stroke();
  for (const { factoring, dispatches, tok_s } of curve.points) {
    const [x, y] = place(dispatches, tok_s);
    ctx.beginPath();
    ctx.arc(x, y, 4.5 * scale, 0, 2 * Math.PI);
    ctx.fill();
    const left = x > u.bbox.left + u.bbox.width * 0.75;
    ctx.textAlign = left ? "right" : "left";
    let at = y + 4 * scale;
    while (taken.some((other) => Math.abs(other.x - x) < 80 * scale && Math.abs(other.y - at) < 13 * scale)) at -= 13 * scale;
    taken.push({ x, y: at });
    ctx.fillText(factoring, x + (left ? -10 : 10) * scale, at);
  }
  ctx.restore();
}

const powers = (least: number, most: number): number[] => {
  const out: number[] = [];
  for (let at = 10 ** Math.floor(Math.log10(least)); at <= most; at *= 10) if (at >= least) out.push(at);
  return out;
};

export function Plot({ curves, dark }: { curves: Curve[]; dark: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const points = curves.flatMap((curve) => curve.points);
  useEffect(() => {
    const at = box.current;
    if (!at || points.length === 0) return;
    const [dim, line] = [ink(at, "--dim"), ink(at, "--line")];
    const axis = { stroke: dim, grid: { stroke: line, width: 1 }, ticks: { stroke: line }, labelSize: 22, labelFont: "12px system-ui" };
    const xs = points.map((point) => point.dispatches);
    const ys = points.flatMap((point) => [point.tok_s, point.fitted_tok_s ?? point.tok_s]);
    const [left, right] = [0.6 * Math.min(...xs), 3 * Math.max(...xs)];
    const [low, high] = [0.7 * Math.min(...ys), 1.6 * Math.max(...ys)];
    const sorted = [...points].sort((a, b) => a.dispatches - b.dispatches);
    const text = (_u: uPlot, ticks: (number | null)[]) => ticks.map((tick) => (tick === null ? "" : String(Number(tick.toPrecision(3)))));
    const yTicks = powers(low, high);
    const plot = new uPlot(
      {
        width: at.clientWidth,
        height: Math.min(400, Math.max(300, at.clientWidth * 0.55)),
        padding: [20, 16, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: false, distr: 3, range: () => [left, right] }, y: { distr: 3, range: () => [low, high] } },
        axes: [
          { ...axis, label: "dispatches a token", splits: () => powers(left, right), values: text },
          { ...axis, label: "tokens a second", size: 60, splits: () => (yTicks.length > 1 ? yTicks : [...yTicks, low * 1.2, high / 1.2]), values: text },
        ],
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: {
          draw: [
            (u) => {
              const taken: { x: number; y: number }[] = [];
              curves.forEach((curve, i) => drawCurve(u, curve, curveColor(i, dark), taken));
            },
          ],
        },
      },
      [sorted.map((point) => point.dispatches), sorted.map((point) => point.tok_s)],
      at,
    );
    const watch = new ResizeObserver(() => plot.setSize({ width: at.clientWidth, height: plot.height }));
    watch.observe(at);
    return () => (watch.disconnect(), plot.destroy());
  }, [curves, dark]);
  return (
    <figure class="card chart">
      <div ref={box} role="img" aria-label={points.length > 0 ? "Tokens a second against dispatches a token; the table below has all figures." : "No figures yet"} />
      {points.length === 0 && <p class="empty dim">Each factoring becomes a point here.</p>}
    </figure>
  );
}
