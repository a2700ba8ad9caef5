/** The engine's worker, with a loader that keeps models. What the loader reports goes to the page by itself, since it
 *  may wait (for a server, for another tab) where the engine has nothing to say. */
import { EngineHost } from "../engine/host.js";
import type { FromWorker } from "../engine/protocol.js";
import { createOpenSource } from "../load/index.js";
import type { OpenSource } from "../byte-source.js";

const open = createOpenSource();
const openSource: OpenSource = (ref, onProgress) =>
  open(ref, (source) => {
    postMessage({ page: "source", source });
    onProgress?.(source);
  });
const host = new EngineHost((message: FromWorker) => postMessage(message), openSource);
onmessage = (event: MessageEvent) => host.onmessage(event);
