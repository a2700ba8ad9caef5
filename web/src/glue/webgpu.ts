/** webgpu.h over the page's WebGPU: the functions that src/device.c calls (src/web/imports.txt). Handles are indices of a
 *  table, futures numbers of promises. Nothing but wgpuInstanceWaitAny waits; what WebGPU reports by itself (errors, a lost
 *  device) is kept and told to the core where webgpu.h says it may be: in wgpuInstanceProcessEvents and after a wait. */
import type { Memory } from "./memory.js";

type Callback = (...args: number[]) => void;

interface Future {
  promise: Promise<void>;
  settled: boolean;
  /** Calls the core's callback with what came of it. */
  deliver: () => void;
  /** The device to poke while waiting for its queue; absent: the answer comes by itself. */
  poke?: GPUDevice;
}

interface DeviceEntry {
  device: GPUDevice;
  isSoftware: boolean;
}

interface MappedBuffer {
  buffer: GPUBuffer;
  copies: number[]; // of mapped ranges, in the core's memory
  device: DeviceEntry;
}

/** A GPU process looks for finished work when a command arrives, otherwise every millisecond or two. While the core waits for
 *  a result that may be there sooner, an empty error scope is such a command. Only for the first moments of a wait: longer
 *  ones (compiling, uploading) do not gain by it. */
const POKE_MS = 2;
const POKE_EVERY_MS = 0.1;

/** The first requests may find the GPU process still starting and answer null. */
const ADAPTER_TRIES = 10;
const ADAPTER_RETRY_MS = 150;

const asText = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export class WebGpu {
  readonly #memory: () => Memory;
  readonly #table: () => WebAssembly.Table;
  readonly #gpu: GPU | undefined;
  readonly #objects: unknown[] = [null];
  readonly #free: number[] = [];
  readonly #futures = new Map<bigint, Future>();
  readonly #events: (() => void)[] = [];
  #nextFuture = 1n;
  #anyAdapter = false;
  /** The device that the core opened last; for tests and for information that webgpu.h does not carry. */
  device: GPUDevice | undefined;
  adapterInfo: GPUAdapterInfo | undefined;
  onLost: ((message: string) => void) | undefined;

  constructor(gpu: GPU | undefined, memory: () => Memory, table: () => WebAssembly.Table) {
    this.#gpu = gpu;
    this.#memory = memory;
    this.#table = table;
  }

  /* ---- handles, callbacks, futures --------------------------------------------------------- */

  #add(object: unknown): number {
    const handle = this.#free.pop() ?? this.#objects.length;
    this.#objects[handle] = object;
    return handle;
  }
  #of<T>(handle: number): T {
    return this.#objects[handle] as T;
  }
  #release = (handle: number): void => {
    if (handle === 0) return;
    this.#objects[handle] = null;
    this.#free.push(handle);
  };

  /** The callback, userdata1 and userdata2 of a callback info, read at once: it lies on the core's stack. */
  #callback(struct: string, info: number): [Callback, number, number] {
    const memory = this.#memory();
    const index = memory.getNumber(`${struct}.callback`, info);
    const call = index === 0 ? () => {} : (this.#table().get(index) as Callback);
    return [call, memory.getNumber(`${struct}.userdata1`, info), memory.getNumber(`${struct}.userdata2`, info)];
  }

  #future<T>(promise: Promise<T>, done: (value: T) => void, failed: (error: unknown) => void, poke?: GPUDevice): bigint {
    const id = this.#nextFuture++;
    const future: Future = {
      settled: false,
      deliver: () => {},
      promise: promise.then(
        (value) => {
          future.settled = true;
          future.deliver = () => done(value);
        },
        (error: unknown) => {
          future.settled = true;
          future.deliver = () => failed(error);
        },
      ),
      ...(poke ? { poke } : {}),
    };
    this.#futures.set(id, future);
    return id;
  }

  #pump(): void {
    for (let event = this.#events.shift(); event; event = this.#events.shift()) event();
  }

  /** Resolves when the promise has, having poked the device meanwhile. */
  async #poked(future: Future, device: GPUDevice): Promise<void> {
    const { port1, port2 } = new MessageChannel();
    const begun = performance.now();
    let last = begun;
    let ended = false;
    port1.onmessage = () => {
      const now = performance.now();
      if (ended || future.settled || now - begun > POKE_MS) return;
      if (now - last >= POKE_EVERY_MS) {
        last = now;
        device.pushErrorScope("internal");
        device.popErrorScope().catch(() => {});
      }
      port2.postMessage(0);
    };
    port2.postMessage(0);
    await future.promise;
    ended = true;
    port1.close();
  }

  async #waitAny(_instance: number, count: number, infos: number, _timeout: bigint): Promise<number> {
    const memory = this.#memory();
    const size = memory.number("WGPUFutureWaitInfo");
    const ids: bigint[] = [];
    for (let i = 0; i < count; i++)
      ids.push(memory.view.getBigUint64(infos + i * size + memory.off("WGPUFutureWaitInfo.future"), true));
    const futures = ids.map((id) => this.#futures.get(id));
    const known = futures.filter((future) => future !== undefined);
    if (known.length !== count) return memory.number("#WGPUWaitStatus_Error");
    if (!known.some((future) => future.settled))
      await Promise.race(known.map((future) => (future.poke ? this.#poked(future, future.poke) : future.promise)));
    this.#pump();
    known.forEach((future, i) => {
      if (!future.settled) return;
      this.#futures.delete(ids[i]!);
      memory.set("WGPUFutureWaitInfo.completed", infos + i * size, 1);
      future.deliver();
    });
    return memory.number("#WGPUWaitStatus_Success");
  }

  /* ---- adapters and devices ---------------------------------------------------------------- */

  async #adapter(options: GPURequestAdapterOptions): Promise<GPUAdapter> {
    if (!this.#gpu) throw new Error("this browser has no WebGPU (navigator.gpu is missing)");
    for (let i = 0; i < ADAPTER_TRIES; i++) {
      const adapter = await this.#gpu.requestAdapter(options);
      if (adapter) {
        this.#anyAdapter = true;
        return adapter;
      }
      if (this.#anyAdapter || options.forceFallbackAdapter) break;
      await new Promise((resolve) => setTimeout(resolve, ADAPTER_RETRY_MS));
    }
    throw new Error("the browser has no such adapter");
  }

  #requestAdapter(_instance: number, options: number, info: number): bigint {
    const memory = this.#memory();
    const power = memory.getNumber("WGPURequestAdapterOptions.powerPreference", options);
    const wanted: GPURequestAdapterOptions = {
      forceFallbackAdapter: memory.getNumber("WGPURequestAdapterOptions.forceFallbackAdapter", options) !== 0,
    };
    if (power === memory.number("#WGPUPowerPreference_HighPerformance")) wanted.powerPreference = "high-performance";
    if (power === memory.number("#WGPUPowerPreference_LowPower")) wanted.powerPreference = "low-power";
    const [call, user1, user2] = this.#callback("WGPURequestAdapterCallbackInfo", info);
    const answer = (status: string, handle: number, text: string) =>
      memory.withStringView(text, (view) => call(memory.number(`#WGPURequestAdapterStatus_${status}`), handle, view, user1, user2));
    return this.#future(
      this.#adapter(wanted),
      (adapter) => answer("Success", this.#add(adapter), ""),
      (error) => answer("Unavailable", 0, asText(error)),
    );
  }

  static isSoftware(info: GPUAdapterInfo): boolean {
    return info.isFallbackAdapter || /swiftshader|llvmpipe/i.test(`${info.architecture} ${info.description} ${info.device}`);
  }

  #adapterInfo(handle: number, out: number): number {
    const memory = this.#memory();
    const info = this.#of<GPUAdapter>(handle).info;
    const software = WebGpu.isSoftware(info);
    // Browsers name few devices: then the vendor and the architecture are what a person knows it by.
    const device = info.device || info.description || [info.vendor, info.architecture].filter((part) => part).join(" ");
    const texts = { vendor: info.vendor, architecture: info.architecture, device, description: info.description };
    for (const [name, text] of Object.entries(texts)) {
      const view = out + memory.off(`WGPUAdapterInfo.${name}`);
      memory.set("WGPUStringView.data", view, memory.newCString(text));
      memory.set("WGPUStringView.length", view, new TextEncoder().encode(text).length);
    }
    memory.set("WGPUAdapterInfo.backendType", out, memory.number("#WGPUBackendType_WebGPU"));
    memory.set("WGPUAdapterInfo.adapterType", out, memory.number(software ? "#WGPUAdapterType_CPU" : "#WGPUAdapterType_Unknown"));
    memory.set("WGPUAdapterInfo.subgroupMinSize", out, info.subgroupMinSize ?? 4);
    memory.set("WGPUAdapterInfo.subgroupMaxSize", out, info.subgroupMaxSize ?? 128);
    return 1;
  }
  #adapterInfoFree(info: number): void {
    const memory = this.#memory();
    for (const name of ["vendor", "architecture", "device", "description"])
      memory.free(memory.u32(info + memory.off(`WGPUAdapterInfo.${name}`) + memory.off("WGPUStringView.data")));
  }

  #featureName(number: number): GPUFeatureName | undefined {
    const memory = this.#memory();
    if (number === memory.number("#WGPUFeatureName_Subgroups")) return "subgroups";
    if (number === memory.number("#WGPUFeatureName_ShaderF16")) return "shader-f16";
    return undefined;
  }
  #hasFeature(handle: number, feature: number): number {
    const name = this.#featureName(feature);
    return name && this.#of<GPUAdapter>(handle).features.has(name) ? 1 : 0;
  }

  #adapterLimits(handle: number, out: number): number {
    const memory = this.#memory();
    const limits = this.#of<GPUAdapter>(handle).limits as unknown as Record<string, number | undefined>;
    for (const name of memory.fieldNames("WGPULimits")) memory.set(`WGPULimits.${name}`, out, limits[name] ?? 0);
    return 1;
  }

  #requestDevice(handle: number, descriptor: number, info: number): bigint {
    const memory = this.#memory();
    const adapter = this.#of<GPUAdapter>(handle);
    const field = (name: string) => memory.getNumber(`WGPUDeviceDescriptor.${name}`, descriptor);
    const wanted: GPUDeviceDescriptor & { requiredFeatures: GPUFeatureName[]; requiredLimits: Record<string, number> } = {
      requiredFeatures: [],
      requiredLimits: {},
    };
    for (let i = 0; i < field("requiredFeatureCount"); i++) {
      const name = this.#featureName(memory.u32(field("requiredFeatures") + 4 * i));
      if (name) wanted.requiredFeatures.push(name);
    }
    for (const name of memory.fieldNames("WGPULimits"))
      if (name in adapter.limits)
        wanted.requiredLimits[name] = memory.getNumber(`WGPULimits.${name}`, field("requiredLimits"));
    const at = (name: string) => descriptor + memory.off(`WGPUDeviceDescriptor.${name}`);
    const lost = this.#callback("WGPUDeviceLostCallbackInfo", at("deviceLostCallbackInfo"));
    const uncaptured = this.#callback("WGPUUncapturedErrorCallbackInfo", at("uncapturedErrorCallbackInfo"));
    const [call, user1, user2] = this.#callback("WGPURequestDeviceCallbackInfo", info);
    const answer = (status: string, device: number, text: string) =>
      memory.withStringView(text, (view) => call(memory.number(`#WGPURequestDeviceStatus_${status}`), device, view, user1, user2));
    return this.#future(
      adapter.requestDevice(wanted),
      (device) => {
        this.device = device;
        this.adapterInfo = adapter.info;
        this.#watch(device, lost, uncaptured);
        answer("Success", this.#add({ device, isSoftware: WebGpu.isSoftware(adapter.info) } satisfies DeviceEntry), "");
      },
      (error) => answer("Error", 0, asText(error)),
    );
  }

  #watch(device: GPUDevice, lost: [Callback, number, number], uncaptured: [Callback, number, number]): void {
    const memory = this.#memory();
    device.onuncapturederror = (event) => {
      event.preventDefault(); // it becomes the error of the next call; the console need not have it too
      const { error } = event;
      const type = error instanceof GPUOutOfMemoryError ? "OutOfMemory" : error instanceof GPUValidationError ? "Validation" : "Internal";
      this.#events.push(() =>
        memory.withStringView(error.message, (view) =>
          uncaptured[0](0, memory.number(`#WGPUErrorType_${type}`), view, uncaptured[1], uncaptured[2]),
        ),
      );
    };
    void device.lost.then(({ reason, message }) => {
      const open = this.device === device;
      if (open) this.device = undefined;
      this.#events.push(() => {
        if (!this.#alive.has(device)) return; // closed by the core itself: its callback's memory is gone
        memory.withStringView(message || `reason: ${reason}`, (view) =>
          lost[0](0, memory.number(`#WGPUDeviceLostReason_${reason === "destroyed" ? "Destroyed" : "Unknown"}`), view, lost[1], lost[2]),
        );
      });
      if (this.#alive.has(device)) this.onLost?.(message || `the browser gives no reason ("${reason}")`);
    });
    this.#alive.add(device);
  }
  readonly #alive = new Set<GPUDevice>();

  #deviceRelease(handle: number): void {
    this.#alive.delete(this.#of<DeviceEntry>(handle).device);
    this.#release(handle);
  }

  /* ---- error scopes, modules, pipelines, bindings ------------------------------------------ */

  #pushErrorScope(handle: number, filter: number): void {
    const memory = this.#memory();
    const name = (["Validation", "OutOfMemory", "Internal"] as const).find((each) => memory.number(`#WGPUErrorFilter_${each}`) === filter);
    const filters = { Validation: "validation", OutOfMemory: "out-of-memory", Internal: "internal" } as const;
    this.#of<DeviceEntry>(handle).device.pushErrorScope(filters[name ?? "Internal"]);
  }

  #popErrorScope(handle: number, info: number): bigint {
    const memory = this.#memory();
    const [call, user1, user2] = this.#callback("WGPUPopErrorScopeCallbackInfo", info);
    const answer = (status: string, type: string, text: string) =>
      memory.withStringView(text, (view) =>
        call(memory.number(`#WGPUPopErrorScopeStatus_${status}`), memory.number(`#WGPUErrorType_${type}`), view, user1, user2),
      );
    return this.#future(
      this.#of<DeviceEntry>(handle).device.popErrorScope(),
      (error) => {
        if (!error) answer("Success", "NoError", "");
        else if (error instanceof GPUOutOfMemoryError) answer("Success", "OutOfMemory", error.message);
        else answer("Success", error instanceof GPUValidationError ? "Validation" : "Internal", error.message);
      },
      (error) => answer("Error", "Unknown", asText(error)),
    );
  }

  #createShaderModule(handle: number, descriptor: number): number {
    const memory = this.#memory();
    const chained = memory.getNumber("WGPUShaderModuleDescriptor.nextInChain", descriptor);
    const code = memory.stringView(chained + memory.off("WGPUShaderSourceWGSL.code"));
    const label = memory.stringView(descriptor + memory.off("WGPUShaderModuleDescriptor.label"));
    return this.#add(this.#of<DeviceEntry>(handle).device.createShaderModule({ code, label }));
  }

  #compilationInfo(handle: number, info: number): bigint {
    const memory = this.#memory();
    const [call, user1, user2] = this.#callback("WGPUCompilationInfoCallbackInfo", info);
    return this.#future(
      this.#of<GPUShaderModule>(handle).getCompilationInfo(),
      ({ messages }) => this.#withMessages(messages, (at) => call(memory.number("#WGPUCompilationInfoRequestStatus_Success"), at, user1, user2)),
      () => this.#withMessages([], (at) => call(memory.number("#WGPUCompilationInfoRequestStatus_Success"), at, user1, user2)),
    );
  }
  #withMessages(messages: readonly GPUCompilationMessage[], call: (info: number) => void): void {
    const memory = this.#memory();
    const types = { error: "Error", warning: "Warning", info: "Info" } as const;
    const size = memory.number("WGPUCompilationMessage");
    const list = memory.alloc(size * messages.length + memory.number("WGPUCompilationInfo"));
    const owned = [list];
    memory.bytes.fill(0, list, list + size * messages.length + memory.number("WGPUCompilationInfo"));
    messages.forEach((message, i) => {
      const at = list + i * size;
      const text = memory.newCString(message.message);
      owned.push(text);
      const view = at + memory.off("WGPUCompilationMessage.message");
      memory.set("WGPUStringView.data", view, text);
      memory.set("WGPUStringView.length", view, 0xffffffff);
      memory.set("WGPUCompilationMessage.type", at, memory.number(`#WGPUCompilationMessageType_${types[message.type]}`));
      memory.set("WGPUCompilationMessage.lineNum", at, message.lineNum);
      memory.set("WGPUCompilationMessage.linePos", at, message.linePos);
    });
    const info = list + size * messages.length;
    memory.set("WGPUCompilationInfo.messageCount", info, messages.length);
    memory.set("WGPUCompilationInfo.messages", info, list);
    call(info);
    owned.forEach((each) => memory.free(each));
  }

  #createComputePipeline(handle: number, descriptor: number, info: number): bigint {
    const memory = this.#memory();
    const compute = descriptor + memory.off("WGPUComputePipelineDescriptor.compute");
    const [call, user1, user2] = this.#callback("WGPUCreateComputePipelineAsyncCallbackInfo", info);
    const answer = (status: string, pipeline: number, text: string) =>
      memory.withStringView(text, (view) => call(memory.number(`#WGPUCreatePipelineAsyncStatus_${status}`), pipeline, view, user1, user2));
    return this.#future(
      this.#of<DeviceEntry>(handle).device.createComputePipelineAsync({
        label: memory.stringView(descriptor + memory.off("WGPUComputePipelineDescriptor.label")),
        layout: this.#of<GPUPipelineLayout>(memory.getNumber("WGPUComputePipelineDescriptor.layout", descriptor)),
        compute: {
          module: this.#of<GPUShaderModule>(memory.getNumber("WGPUComputeState.module", compute)),
          entryPoint: memory.stringView(compute + memory.off("WGPUComputeState.entryPoint")),
        },
      }),
      (pipeline) => answer("Success", this.#add(pipeline), ""),
      (error) => answer((error as GPUPipelineError).reason === "internal" ? "InternalError" : "ValidationError", 0, asText(error)),
    );
  }

  #createBindGroupLayout(handle: number, descriptor: number): number {
    const memory = this.#memory();
    const types: Record<number, GPUBufferBindingType> = {
      [memory.number("#WGPUBufferBindingType_Uniform")]: "uniform",
      [memory.number("#WGPUBufferBindingType_Storage")]: "storage",
      [memory.number("#WGPUBufferBindingType_ReadOnlyStorage")]: "read-only-storage",
    };
    const entries: GPUBindGroupLayoutEntry[] = [];
    const first = memory.getNumber("WGPUBindGroupLayoutDescriptor.entries", descriptor);
    for (let i = 0; i < memory.getNumber("WGPUBindGroupLayoutDescriptor.entryCount", descriptor); i++) {
      const at = first + i * memory.number("WGPUBindGroupLayoutEntry");
      const buffer = at + memory.off("WGPUBindGroupLayoutEntry.buffer");
      const type = types[memory.getNumber("WGPUBufferBindingLayout.type", buffer)];
      entries.push({
        binding: memory.getNumber("WGPUBindGroupLayoutEntry.binding", at),
        visibility: memory.getNumber("WGPUBindGroupLayoutEntry.visibility", at),
        buffer: {
          ...(type ? { type } : {}),
          hasDynamicOffset: memory.getNumber("WGPUBufferBindingLayout.hasDynamicOffset", buffer) !== 0,
          minBindingSize: memory.getNumber("WGPUBufferBindingLayout.minBindingSize", buffer),
        },
      });
    }
    return this.#add(this.#of<DeviceEntry>(handle).device.createBindGroupLayout({ entries }));
  }

  #createPipelineLayout(handle: number, descriptor: number): number {
    const memory = this.#memory();
    const bindGroupLayouts: GPUBindGroupLayout[] = [];
    const first = memory.getNumber("WGPUPipelineLayoutDescriptor.bindGroupLayouts", descriptor);
    for (let i = 0; i < memory.getNumber("WGPUPipelineLayoutDescriptor.bindGroupLayoutCount", descriptor); i++)
      bindGroupLayouts.push(this.#of<GPUBindGroupLayout>(memory.u32(first + 4 * i)));
    return this.#add(this.#of<DeviceEntry>(handle).device.createPipelineLayout({ bindGroupLayouts }));
  }

  #createBindGroup(handle: number, descriptor: number): number {
    const memory = this.#memory();
    const entries: GPUBindGroupEntry[] = [];
    const first = memory.getNumber("WGPUBindGroupDescriptor.entries", descriptor);
    for (let i = 0; i < memory.getNumber("WGPUBindGroupDescriptor.entryCount", descriptor); i++) {
      const at = first + i * memory.number("WGPUBindGroupEntry");
      const { buffer } = this.#of<MappedBuffer>(memory.getNumber("WGPUBindGroupEntry.buffer", at));
      entries.push({
        binding: memory.getNumber("WGPUBindGroupEntry.binding", at),
        resource: {
          buffer,
          offset: memory.getNumber("WGPUBindGroupEntry.offset", at),
          size: memory.getNumber("WGPUBindGroupEntry.size", at),
        },
      });
    }
    const layout = this.#of<GPUBindGroupLayout>(memory.getNumber("WGPUBindGroupDescriptor.layout", descriptor));
    return this.#add(this.#of<DeviceEntry>(handle).device.createBindGroup({ layout, entries }));
  }

  /* ---- buffers and the queue --------------------------------------------------------------- */

  #createBuffer(handle: number, descriptor: number): number {
    const memory = this.#memory();
    const entry = this.#of<DeviceEntry>(handle);
    const buffer = entry.device.createBuffer({
      label: memory.stringView(descriptor + memory.off("WGPUBufferDescriptor.label")),
      usage: memory.getNumber("WGPUBufferDescriptor.usage", descriptor),
      size: memory.getNumber("WGPUBufferDescriptor.size", descriptor),
    });
    return this.#add({ buffer, copies: [], device: entry } satisfies MappedBuffer);
  }

  #mapAsync(handle: number, mode: bigint, off: number, size: number, info: number): bigint {
    const memory = this.#memory();
    const { buffer, device } = this.#of<MappedBuffer>(handle);
    const [call, user1, user2] = this.#callback("WGPUBufferMapCallbackInfo", info);
    const answer = (status: string, text: string) =>
      memory.withStringView(text, (view) => call(memory.number(`#WGPUMapAsyncStatus_${status}`), view, user1, user2));
    return this.#future(
      buffer.mapAsync(Number(mode), off, size),
      () => answer("Success", ""),
      (error) => answer("Error", asText(error)),
      device.isSoftware ? undefined : device.device,
    );
  }
  #mappedRange(handle: number, off: number, size: number): number {
    const memory = this.#memory();
    const entry = this.#of<MappedBuffer>(handle);
    let range: ArrayBuffer;
    try {
      range = entry.buffer.getMappedRange(off, size);
    } catch {
      return 0; // the device went since it was mapped
    }
    const copy = memory.alloc(size);
    memory.bytes.set(new Uint8Array(range), copy);
    entry.copies.push(copy);
    return copy;
  }
  #unmap(handle: number): void {
    const entry = this.#of<MappedBuffer>(handle);
    entry.copies.splice(0).forEach((copy) => this.#memory().free(copy));
    entry.buffer.unmap();
  }

  #workDone(handle: number, info: number): bigint {
    const memory = this.#memory();
    const { device, isSoftware } = this.#of<DeviceEntry>(handle);
    const [call, user1, user2] = this.#callback("WGPUQueueWorkDoneCallbackInfo", info);
    const answer = (status: string, text: string) =>
      memory.withStringView(text, (view) => call(memory.number(`#WGPUQueueWorkDoneStatus_${status}`), view, user1, user2));
    return this.#future(
      device.queue.onSubmittedWorkDone(),
      () => answer("Success", ""),
      (error) => answer("Error", asText(error)),
      isSoftware ? undefined : device,
    );
  }

  #submit(handle: number, count: number, commands: number): void {
    const memory = this.#memory();
    const list: GPUCommandBuffer[] = [];
    for (let i = 0; i < count; i++) list.push(this.#of<GPUCommandBuffer>(memory.u32(commands + 4 * i)));
    this.#of<DeviceEntry>(handle).device.queue.submit(list);
  }

  #setBindGroup(pass: number, index: number, group: number, count: number, offsets: number): void {
    const start = offsets / 4;
    const words = new Uint32Array(this.#memory().bytes.buffer);
    this.#of<GPUComputePassEncoder>(pass).setBindGroup(index, this.#of<GPUBindGroup>(group), words, start, count);
  }

  /** What the core imports; waitAny is the caller's to wrap, since it suspends. */
  imports(): { waitAny: WebGpu["waitAny"]; env: Record<string, (...args: never[]) => unknown> } {
    const release = this.#release;
    const encoder = (handle: number) => this.#of<GPUCommandEncoder>(handle);
    const pass = (handle: number) => this.#of<GPUComputePassEncoder>(handle);
    const buffer = (handle: number) => this.#of<MappedBuffer>(handle).buffer;
    return {
      waitAny: this.waitAny,
      env: {
        wgpuCreateInstance: () => this.#add({}),
        wgpuInstanceProcessEvents: () => this.#pump(),
        wgpuInstanceRelease: release,
        wgpuInstanceRequestAdapter: this.#requestAdapter.bind(this),
        wgpuAdapterGetInfo: this.#adapterInfo.bind(this),
        wgpuAdapterInfoFreeMembers: this.#adapterInfoFree.bind(this),
        wgpuAdapterHasFeature: this.#hasFeature.bind(this),
        wgpuAdapterGetLimits: this.#adapterLimits.bind(this),
        wgpuAdapterRequestDevice: this.#requestDevice.bind(this),
        wgpuAdapterRelease: release,
        wgpuDeviceGetQueue: (device: number) => this.#add(this.#of(device)),
        wgpuDeviceDestroy: (device: number) => this.#of<DeviceEntry>(device).device.destroy(),
        wgpuDeviceRelease: this.#deviceRelease.bind(this),
        wgpuDevicePushErrorScope: this.#pushErrorScope.bind(this),
        wgpuDevicePopErrorScope: this.#popErrorScope.bind(this),
        wgpuDeviceCreateShaderModule: this.#createShaderModule.bind(this),
        wgpuShaderModuleGetCompilationInfo: this.#compilationInfo.bind(this),
        wgpuShaderModuleRelease: release,
        wgpuDeviceCreateComputePipelineAsync: this.#createComputePipeline.bind(this),
        wgpuComputePipelineRelease: release,
        wgpuDeviceCreateBindGroupLayout: this.#createBindGroupLayout.bind(this),
        wgpuBindGroupLayoutRelease: release,
        wgpuDeviceCreatePipelineLayout: this.#createPipelineLayout.bind(this),
        wgpuPipelineLayoutRelease: release,
        wgpuDeviceCreateBindGroup: this.#createBindGroup.bind(this),
        wgpuBindGroupRelease: release,
        wgpuDeviceCreateBuffer: this.#createBuffer.bind(this),
        wgpuBufferMapAsync: this.#mapAsync.bind(this),
        wgpuBufferGetConstMappedRange: this.#mappedRange.bind(this),
        wgpuBufferUnmap: this.#unmap.bind(this),
        wgpuBufferDestroy: (handle: number) => buffer(handle).destroy(),
        wgpuBufferRelease: release,
        wgpuDeviceCreateCommandEncoder: (device: number) => this.#add(this.#of<DeviceEntry>(device).device.createCommandEncoder()),
        wgpuCommandEncoderBeginComputePass: (handle: number) => this.#add(encoder(handle).beginComputePass()),
        wgpuCommandEncoderCopyBufferToBuffer: (handle: number, src: number, srcOff: bigint, dst: number, dstOff: bigint, size: bigint) =>
          encoder(handle).copyBufferToBuffer(buffer(src), Number(srcOff), buffer(dst), Number(dstOff), Number(size)),
        wgpuCommandEncoderClearBuffer: (handle: number, of: number, off: bigint, size: bigint) =>
          encoder(handle).clearBuffer(buffer(of), Number(off), Number(size)),
        wgpuCommandEncoderFinish: (handle: number) => this.#add(encoder(handle).finish()),
        wgpuCommandEncoderRelease: release,
        wgpuCommandBufferRelease: release,
        wgpuComputePassEncoderSetPipeline: (handle: number, pipeline: number) =>
          pass(handle).setPipeline(this.#of<GPUComputePipeline>(pipeline)),
        wgpuComputePassEncoderSetBindGroup: this.#setBindGroup.bind(this),
        wgpuComputePassEncoderDispatchWorkgroups: (handle: number, x: number, y: number, z: number) =>
          pass(handle).dispatchWorkgroups(x, y, z),
        wgpuComputePassEncoderEnd: (handle: number) => pass(handle).end(),
        wgpuComputePassEncoderRelease: release,
        wgpuQueueSubmit: this.#submit.bind(this),
        wgpuQueueWriteBuffer: (queue: number, handle: number, off: bigint, data: number, size: number) =>
          this.#of<DeviceEntry>(queue).device.queue.writeBuffer(buffer(handle), Number(off), this.#memory().bytes, data, size),
        wgpuQueueOnSubmittedWorkDone: this.#workDone.bind(this),
        wgpuQueueRelease: release,
      },
    };
  }
  readonly waitAny = this.#waitAny.bind(this);
}
