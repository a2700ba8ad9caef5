/** What a person types in the address box, made a URL. */
import { SoloError } from "../error.js";

export const HUB = "https://huggingface.co";

export interface Address {
  url: string;
  /** The last part of the path, for messages and lists. */
  name: string;
  /** From a "#sha256=…" at the end. */
  sha256?: string;
  /** Where the address is a file on a Hugging Face hub: what its interface for checksums wants. */
  hub?: { repo: string; revision: string; path: string };
  /** Whether it is that of a model's folder; `url` then ends in "/". */
  folder?: true;
}

/** Files of a folder that a person may name for the whole of it. */
const OF_FOLDER = /\/(config|mlc-chat-config|tokenizer|(tensor|ndarray)-cache)\.json$|\/[^/]+\.safetensors(\.index\.json)?$/;

/** The address of a folder, where that is what `url` says: by its end, as a repository of the hub, by a file in it. */
function folderAddress(url: URL, hub: string): Address | undefined {
  const repo = url.origin === new URL(hub).origin && /^\/([^/]+\/[^/]+)(?:\/tree\/([^/]+))?\/?$/.exec(url.pathname);
  if (repo) url.pathname = `/${repo[1]}/resolve/${repo[2] ?? "main"}/`;
  else if (OF_FOLDER.test(url.pathname)) url.pathname = url.pathname.replace(/\/blob\//, "/resolve/").replace(/[^/]+$/, "");
  else if (!url.pathname.endsWith("/")) return undefined;
  url.search = url.hash = "";
  return { url: url.href, name: folderName(url), folder: true };
}

/** A folder's last step; of the hub's, the repository. */
export function folderName(url: URL): string {
  const steps = url.pathname.split("/").filter(Boolean);
  return decodeURIComponent((steps.at(-2) === "resolve" ? steps.at(-3) : steps.at(-1)) ?? url.host);
}

/** Takes a URL, a path on this server, or a file or folder on the hub by its shape: org/repo/file.gguf, org/repo:file.gguf,
 *  org/repo. A hub's page of a file (…/blob/…) becomes the file itself (…/resolve/…). isFile: it is no folder's, whatever
 *  its name. */
export function parseAddress(text: string, base: string, hub = HUB, isFile = false): Address {
  const typed = text.trim();
  const repo = /^[\w-][\w.-]*\/(?![\w.-]+\.gguf$)[\w.-]+$/.test(typed);
  const short = /^([\w.-]+\/[\w.-]+)(?::|\/(?!\/))((?:[\w.-]+\/)*[\w.-]+\.\w+)$/.exec(typed);
  let url: URL;
  try {
    const dotted = /^\.{0,2}\//.test(typed);
    if (repo) url = new URL(`${hub}/${typed}`);
    else url = short && !dotted ? new URL(`${hub}/${short[1]}/resolve/main/${short[2]}`) : new URL(typed, base);
  } catch {
    throw new SoloError("ARGUMENT", `wanted the address of a .gguf file or of a model's folder, org/repo/file.gguf or org/repo; found "${typed}"`);
  }
  if (typed === "" || !/^(https?|blob|data):$/.test(url.protocol)) {
    throw new SoloError("ARGUMENT", `wanted an address that begins with http:// or https://; found "${typed}"`);
  }
  const folder = !isFile && url.protocol.startsWith("http") && folderAddress(url, hub);
  if (folder) return folder;
  const sha256 = /^#sha256=([0-9a-f]{64})$/i.exec(url.hash)?.[1]?.toLowerCase();
  url.hash = "";
  const name = decodeURIComponent(url.pathname.split("/").pop() || url.host);
  const found: Address = { url: url.href, name, ...(sha256 && { sha256 }) };
  const file = /^\/([^/]+\/[^/]+)\/(?:resolve|blob)\/([^/]+)\/(.+)$/.exec(url.pathname);
  if (file && url.origin === new URL(hub).origin) {
    const [, repo, revision, path] = file as unknown as [string, string, string, string];
    url.pathname = `/${repo}/resolve/${revision}/${path}`;
    found.url = url.href;
    found.hub = { repo, revision: decodeURIComponent(revision), path: decodeURIComponent(path) };
  }
  return found;
}

/** Size and SHA-256 of a file on the hub; undefined where it does not say so within a few seconds: loading goes on
 *  without. */
export async function askHub(hub: string, file: NonNullable<Address["hub"]>, headers?: Record<string, string>) {
  try {
    // A form, not JSON: such a request needs no preflight.
    const response = await fetch(`${hub}/api/models/${file.repo}/paths-info/${encodeURIComponent(file.revision)}`, {
      method: "POST",
      body: new URLSearchParams({ paths: file.path, expand: "false" }),
      ...(headers && { headers }),
      signal: AbortSignal.timeout(4000),
    });
    if (!response.ok) return undefined;
    const found = (
      (await response.json()) as { path?: string; size?: number; lfs?: { oid?: string; size?: number } }[]
    )[0];
    const sha256 = found?.lfs?.oid;
    return found?.path === file.path && sha256 && /^[0-9a-f]{64}$/.test(sha256)
      ? { sha256, size: found.lfs?.size ?? found.size }
      : undefined;
  } catch {
    return undefined;
  }
}
