/** Choosing a model: presets, an address, a file, those kept in the browser. */
import { useEffect, useState } from "preact/hooks";
import { listCache, removeCached, type CacheEntry } from "../load/cache.js";
import { bytesText } from "../load/error.js";
import { parseAddress } from "../load/address.js";
import { localModels, PRESETS, type Preset } from "./models.js";
import { textOf } from "../error.js";
import { device, load, problem, remembered } from "./state.js";

/** Weights are split over at most four bindings. */
function tooLarge(bytes: number): string {
  const limits = device.value;
  if (!limits || limits.max_binding_bytes === 0) return "";
  const most = 4 * Math.min(limits.max_binding_bytes, limits.max_buffer_bytes);
  return bytes > most ? `Too large: this device holds ${bytesText(most)} of weights` : "";
}

function PresetRow({ preset, kept }: { preset: Preset; kept: boolean }) {
  const why = tooLarge(preset.bytes);
  const hint = `${preset.title} is a suggestion of this page; its publisher may have moved the file.`;
  return (
    <li>
      <button class="preset" disabled={why !== ""} onClick={() => void load({ url: preset.url }, hint)}>
        <strong>{preset.title}</strong>
        <span class="dim">
          {bytesText(preset.bytes)}
          {kept && " · kept here"}
        </span>
        <span class="about">{why || preset.about}</span>
      </button>
    </li>
  );
}

function Kept({ entries, refresh }: { entries: CacheEntry[]; refresh: () => void }) {
  const remove = async (entry: CacheEntry) => {
    try {
      await removeCached(entry.id);
    } catch (error) {
      problem.value = textOf(error);
    }
    refresh();
  };
  const total = entries.reduce((sum, entry) => sum + entry.received, 0);
  return (
    <section class="card">
      <h2>Kept in this browser</h2>
      <ul class="kept">
        {entries.map((entry) => (
          <li key={entry.id}>
            <span class="name" title={entry.url}>
              {entry.name}
              <small class="dim">
                {entry.complete
                  ? bytesText(entry.size)
                  : `${bytesText(entry.received)} of ${bytesText(entry.size)} received`}
              </small>
            </span>
            <button onClick={() => void load({ cached: entry.id })} aria-label={`Load ${entry.name}`}>
              {entry.complete ? "Load" : "Go on"}
            </button>
            <button class="plain" onClick={() => void remove(entry)} aria-label={`Delete ${entry.name}`}>
              Delete
            </button>
          </li>
        ))}
      </ul>
      <p class="dim">{bytesText(total)} in all; loading these needs no network.</p>
    </section>
  );
}

export function Picker() {
  const [local, setLocal] = useState<Preset[]>([]);
  const [entries, setEntries] = useState<CacheEntry[]>([]);
  const [address, setAddress] = useState(remembered());
  const [over, setOver] = useState(false);
  const refresh = () => void listCache().then(setEntries);
  useEffect(() => {
    void localModels().then(setLocal);
    refresh();
  }, []);
  const take = (file: File | undefined | null) => file && void load({ file, name: file.name });
  const submit = (event: Event) => {
    event.preventDefault();
    try {
      void load({ url: address.trim() && parseAddress(address, location.href) && address.trim() });
    } catch (error) {
      problem.value = textOf(error);
    }
  };
  const urls = new Set(entries.filter((entry) => entry.complete).map((entry) => entry.url));
  const isKept = (preset: Preset) => urls.has(parseAddress(preset.url, location.href).url);
  return (
    <div
      class={`picker ${over ? "over" : ""}`}
      onDragOver={(event) => (event.preventDefault(), setOver(true))}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => (event.preventDefault(), setOver(false), take(event.dataTransfer?.files[0]))}
    >
      <header class="hero">
        <h1>A language model on your own GPU</h1>
        <p>Pick a model. It is downloaded once, kept in this browser, and what you write never leaves this device.</p>
      </header>
      <ul class="presets" aria-label="Models">
        {[...local, ...PRESETS].map((preset) => (
          <PresetRow key={preset.url} preset={preset} kept={isKept(preset)} />
        ))}
      </ul>
      <section class="card">
        <form onSubmit={submit}>
          <label for="address">Any .gguf by its address, or as org/repo/file.gguf</label>
          <div class="row">
            <input
              id="address"
              type="text"
              inputMode="url"
              autocomplete="off"
              spellcheck={false}
              value={address}
              placeholder="https://…/model.gguf"
              onInput={(event) => setAddress(event.currentTarget.value)}
            />
            <button class="primary" type="submit" disabled={address.trim() === ""}>
              Load
            </button>
          </div>
        </form>
        <label class="drop">
          <input type="file" accept=".gguf" class="hidden" onChange={(event) => take(event.currentTarget.files?.[0])} />
          <span>
            <b>Open a file</b> or drop it here
          </span>
        </label>
      </section>
      {entries.length > 0 && <Kept entries={entries} refresh={refresh} />}
    </div>
  );
}
