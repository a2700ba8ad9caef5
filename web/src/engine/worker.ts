/** The worker that the package starts. */
import { openSource } from "../sources.js";
import { EngineHost } from "./host.js";
import type { FromWorker } from "./protocol.js";

const host = new EngineHost((message: FromWorker) => postMessage(message), openSource);
onmessage = (event: MessageEvent) => host.onmessage(event);
