/** Choosing a model: presets, an address, a file, those kept in the browser. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { listModels, removeCached, type KeptModel } from "../load/cache.js";
import { bytesText } from "../load/error.js";
import { parseAddress } from "../load/address.js";
import { localModels, PRESETS, type Preset } from "./models.js";
import { textOf } from "../error.js";
import { device, load, problem, remembered } from "./state.js";

type Picked = { name: string; file: File };

const quant = signal("");
/** What a folder's matrices become; nothing for a file. */
const weights = () => (quant.value ? { quant: quant.value } : {});

/** A file, or the files of a folder, that were dropped. */
async function dropped(data: DataTransfer): Promise<{ files: Picked[]; name: string }> {
  const entry = data.items[0]?.webkitGetAsEntry?.();
  if (!entry?.isDirectory) return { files: [...data.files].slice(0, 1).map((file) => ({ name: file.name, file })), name: "" };
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: Picked[] = [];
  for (;;) {
    // At most a hundred at a time, then none.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return { files, name: entry.name };
    for (const each of some.filter((each) => each.isFile)) {
      const file = await new Promise<File>((resolve, reject) => (each as FileSystemFileEntry).file(resolve, reject));
      files.push({ name: file.name, file });
    }
  }
}

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

function Kept({ entries, refresh }: { entries: KeptModel[]; refresh: () => void }) {
  const remove = async (entry: KeptModel) => {
    try {
      for (const id of entry.ids) await removeCached(id);
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
          <li key={entry.url}>
            <span class="name" title={entry.url}>
              {entry.name}
              <small class="dim">
                {entry.complete
                  ? bytesText(entry.size)
                  : `${bytesText(entry.received)} of ${bytesText(entry.size)} received`}
              </small>
            </span>
            <button onClick={() => void load({ url: entry.url, ...weights() })} aria-label={`Load ${entry.name}`}>
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
  const [entries, setEntries] = useState<KeptModel[]>([]);
  const [address, setAddress] = useState(remembered());
  const [over, setOver] = useState(false);
  const refresh = () => void listModels().then(setEntries);
  useEffect(() => {
    void localModels().then(setLocal);
    refresh();
  }, []);
  const take = (files: Picked[], name: string) => {
    if (files.length === 1 && /\.gguf$/i.test(files[0]!.name)) void load({ file: files[0]!.file, name: files[0]!.name });
    else if (files.some(({ name }) => /\.(json|safetensors)$/.test(name))) void load({ files, name, ...weights() });
    else if (files.length === 1) void load({ file: files[0]!.file, name: files[0]!.name }); // the loader says what it is
    else if (files.length > 0) problem.value = `${name}: wanted a .gguf file or a model's folder (config.json, safetensors), found ${files.length} other files`;
  };
  /** Of a picked folder what lies in itself. */
  const pick = (input: HTMLInputElement) => {
    const list = [...(input.files ?? [])];
    const name = list[0]?.webkitRelativePath.split("/")[0] ?? "";
    const inside = list.filter((file) => name === "" || file.webkitRelativePath === `${name}/${file.name}`);
    input.value = ""; // the same again is a change
    take(inside.map((file) => ({ name: file.name, file })), name);
  };
  const submit = (event: Event) => {
    event.preventDefault();
    try {
      void load({ url: address.trim() && parseAddress(address, location.href) && address.trim(), ...weights() });
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
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        if (event.dataTransfer) void dropped(event.dataTransfer).then(({ files, name }) => take(files, name));
      }}
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
          <label for="address">Any .gguf or model folder by its address, or as org/repo</label>
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
        <div class="drop">
          <label>
            <input type="file" accept=".gguf" class="hidden" onChange={(event) => pick(event.currentTarget)} />
            <b>Open a file</b>
          </label>
          <label>
            <input
              type="file"
              ref={(input) => void (input && (input.webkitdirectory = true))}
              class="hidden"
              onChange={(event) => pick(event.currentTarget)}
            />
            <b>Open a folder</b>
          </label>
          or drop either here
        </div>
        <label class="inline">
          <span>Weights of a folder</span>
          <select value={quant.value} onChange={(event) => (quant.value = event.currentTarget.value)}>
            <option value="">as they are</option>
            <option value="q8_0">8 bits (q8_0)</option>
            <option value="q4_0">4 bits (q4_0)</option>
          </select>
        </label>
      </section>
      {entries.length > 0 && <Kept entries={entries} refresh={refresh} />}
    </div>
  );
}
