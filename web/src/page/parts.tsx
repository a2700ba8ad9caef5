/** Small pieces that several views share. */
import type { ComponentChildren } from "preact";
import { problem, note, report, source, stopLoading } from "./state.js";
import { bytesText } from "../load/error.js";

export function Problem() {
  return (
    <div role="alert">
      {problem.value && (
        <p class="banner bad">
          <span>{problem.value}</span>
          <button class="plain" onClick={() => (problem.value = "")} aria-label="Dismiss">
            ✕
          </button>
        </p>
      )}
    </div>
  );
}

export function Note() {
  return <div role="status">{note.value && <p class="banner">{note.value}</p>}</div>;
}

function secondsText(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s left`;
  return `${Math.round(seconds / 60)} min left`;
}

export function Loading() {
  const now = report.value;
  const from = source.value;
  const percent = Math.round((now?.progress ?? 0) * 100);
  const details: string[] = [];
  if (from && from.total > 0) {
    details.push(`${bytesText(from.received)} of ${bytesText(from.total)}`);
    if (from.from === "cache") details.push("kept in this browser");
    if (from.rate > 0 && from.received < from.total) {
      details.push(`${bytesText(from.rate)}/s`);
      details.push(secondsText((from.total - from.received) / from.rate));
    }
  }
  return (
    <section class="card loading" aria-label="Loading a model">
      <p>{now?.text ?? "Starting"}</p>
      <progress max="100" value={percent} aria-label="Loading">
        {percent} %
      </progress>
      <p class="dim" aria-live="off">
        {details.join(" · ") || "\u00a0"}
      </p>
      {from?.note && <p class="banner">{from.note}</p>}
      <button onClick={() => void stopLoading()}>Stop</button>
    </section>
  );
}

export function Field({ label, hint, children }: { label: string; hint?: string; children: ComponentChildren }) {
  return (
    <label class="field">
      <span>{label}</span>
      {children}
      {hint && <small>{hint}</small>}
    </label>
  );
}

/** A table that scrolls where it is too wide. A column's second part is its class: "n" for numbers. */
export function ScrollTable({ label, columns, children }: { label: string; columns?: [string, string?][]; children: ComponentChildren }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        {columns && (
          <thead>
            <tr>
              {columns.map(([name, kind]) => (
                <th key={name} scope="col" class={kind}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
        )}
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

export function Figure({ label, value, unit }: { label: string; value: string; unit?: string }) {
  return (
    <div class="figure">
      <dt>{label}</dt>
      <dd>
        {value} {unit && <small>{unit}</small>}
      </dd>
    </div>
  );
}

export const rateText = (n: number): string =>
  n >= 1000 ? Math.round(n).toLocaleString("en") : n >= 100 ? n.toFixed(0) : n.toFixed(1);
export const countText = (n: number): string => (n >= 10 || Number.isInteger(n) ? String(Math.round(n)) : n.toFixed(2));

export const download = (name: string, value: unknown): void => save(name, JSON.stringify(value, null, 2), "application/json");

export function save(name: string, text: string, type: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
