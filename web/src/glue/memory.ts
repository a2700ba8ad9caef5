/** The core's memory as a page sees it: numbers, text and structs, the latter by the layout that the core itself gives
 *  (src/web/layout.c), so that no offset is written down here. */

import { SoloError } from "../error.js";

type Kind = "b" | "B" | "H" | "i" | "u" | "U" | "I" | "f" | "d" | "t" | "s" | "p";

interface Field {
  name: string;
  off: number;
  size: number;
  kind: Kind;
}

/** A struct read: 64-bit integers come as numbers (sizes, counts), pointers as numbers, nested structs as their address. */
export type Fields = Record<string, number | string | boolean>;

export class Memory {
  readonly #memory: WebAssembly.Memory;
  readonly #exports: WebAssembly.Exports;
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();
  readonly #fields = new Map<string, Field>();
  readonly #structs = new Map<string, Field[]>();
  readonly #numbers = new Map<string, number>();
  #view: DataView;
  #bytes: Uint8Array<ArrayBuffer>;
  version = "";
  statusNames: string[] = [];

  constructor(exports: WebAssembly.Exports) {
    this.#exports = exports;
    this.#memory = exports["memory"] as WebAssembly.Memory;
    this.#view = new DataView(this.#memory.buffer);
    this.#bytes = new Uint8Array(this.#memory.buffer as ArrayBuffer);
  }

  /** Once, after _initialize. */
  readLayout(): void {
    const at = (this.#exports["solo_web_layout"] as () => number)();
    for (const line of this.cString(at).split("\n")) {
      const [name, ...rest] = line.split(" ") as [string, ...string[]];
      if (name === "@version") this.version = rest[0]!;
      else if (name === "@status") this.statusNames = rest;
      else if (rest.length === 1) this.#numbers.set(name, Number(rest[0]));
      else if (rest.length === 3) {
        const [struct, member] = name.split(".") as [string, string];
        const field = { name: member, off: Number(rest[0]), size: Number(rest[1]), kind: rest[2] as Kind };
        this.#fields.set(name, field);
        const list = this.#structs.get(struct) ?? [];
        list.push(field);
        this.#structs.set(struct, list);
      }
    }
    this.free(at);
  }

  /** Views of the memory as it is now: growing it makes older ones useless. */
  get view(): DataView {
    if (this.#view.buffer !== this.#memory.buffer) this.#view = new DataView(this.#memory.buffer);
    return this.#view;
  }
  get bytes(): Uint8Array<ArrayBuffer> {
    if (this.#bytes.buffer !== this.#memory.buffer) this.#bytes = new Uint8Array(this.#memory.buffer as ArrayBuffer);
    return this.#bytes;
  }
  get byteLength(): number {
    return this.#memory.buffer.byteLength;
  }

  alloc(n: number): number {
    const at = (this.#exports["malloc"] as (n: number) => number)(n) >>> 0;
    if (at === 0) throw new SoloError("MEMORY", `out of memory: wanted ${n} bytes more than the ${this.byteLength} there are`);
    return at;
  }
  free(at: number): void {
    (this.#exports["free"] as (at: number) => void)(at);
  }

  /** "#NAME": a constant's value. "struct": its size. */
  number(name: string): number {
    const value = this.#numbers.get(name);
    if (value === undefined) throw new Error(`the core's layout has no ${name}`);
    return value;
  }
  #field(name: string): Field {
    const field = this.#fields.get(name);
    if (!field) throw new Error(`the core's layout has no ${name}`);
    return field;
  }
  off(name: string): number {
    return this.#field(name).off;
  }
  fieldNames(struct: string): string[] {
    return (this.#structs.get(struct) ?? []).map((field) => field.name);
  }

  u32(at: number): number {
    return this.view.getUint32(at, true);
  }
  setU32(at: number, value: number): void {
    this.view.setUint32(at, value, true);
  }

  cString(at: number): string {
    const bytes = this.bytes;
    let end = at;
    while (bytes[end]) end++;
    return this.#decoder.decode(bytes.subarray(at, end));
  }
  /** malloc'd, NUL-terminated; free it. */
  newCString(text: string): number {
    const encoded = this.#encoder.encode(text);
    const at = this.alloc(encoded.length + 1);
    this.bytes.set(encoded, at);
    this.bytes[at + encoded.length] = 0;
    return at;
  }

  /** "struct.field" of the struct at `at`. */
  get(name: string, at: number): number | string | boolean {
    const { off, size, kind } = this.#field(name);
    const view = this.view;
    const here = at + off;
    switch (kind) {
      case "b": return view.getUint8(here) !== 0;
      case "B": return view.getUint8(here);
      case "H": return view.getUint16(here, true);
      case "i": return view.getInt32(here, true);
      case "u": return view.getUint32(here, true);
      case "U": return Number(view.getBigUint64(here, true));
      case "I": return Number(view.getBigInt64(here, true));
      case "f": return view.getFloat32(here, true);
      case "d": return view.getFloat64(here, true);
      case "t": {
        const text = this.bytes.subarray(here, here + size);
        const end = text.indexOf(0);
        return this.#decoder.decode(text.slice(0, end < 0 ? size : end));
      }
      case "s": return this.u32(here) === 0 ? "" : this.cString(this.u32(here));
      case "p": return size === 4 ? this.u32(here) : here; // a pointer, or a struct or array within
    }
  }
  getNumber(name: string, at: number): number {
    return this.get(name, at) as number;
  }

  set(name: string, at: number, value: number | bigint | boolean): void {
    const { off, size, kind } = this.#field(name);
    const view = this.view;
    const here = at + off;
    if (kind === "f") view.setFloat32(here, Number(value), true);
    else if (kind === "d") view.setFloat64(here, Number(value), true);
    else if (size === 8) view.setBigUint64(here, BigInt.asUintN(64, BigInt(value)), true);
    else if (size === 4) view.setUint32(here, Number(value), true);
    else if (size === 2) view.setUint16(here, Number(value), true);
    else if (size === 1) view.setUint8(here, Number(value));
    else throw new Error(`${name} is no number`);
  }

  /** All fields of a struct that are known to the layout. */
  read(struct: string, at: number): Fields {
    const out: Fields = {};
    for (const field of this.#structs.get(struct) ?? []) out[field.name] = this.get(`${struct}.${field.name}`, at);
    return out;
  }

  /** A zeroed struct with some fields set; text is malloc'd for it. The returned function frees all of it. */
  make(struct: string, values: Record<string, number | bigint | boolean | string | undefined>): [number, () => void] {
    const size = this.number(struct);
    const owned = [this.alloc(size)];
    const at = owned[0]!;
    this.bytes.fill(0, at, at + size);
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) continue;
      if (typeof value === "string") {
        const text = this.newCString(value);
        owned.push(text);
        this.set(`${struct}.${name}`, at, text);
      } else {
        this.set(`${struct}.${name}`, at, value);
      }
    }
    return [at, () => owned.forEach((each) => this.free(each))];
  }

  /** A WGPUStringView at `at` as text; its length may say "to the NUL". */
  stringView(at: number): string {
    const data = this.u32(at + this.off("WGPUStringView.data"));
    const length = this.u32(at + this.off("WGPUStringView.length"));
    if (data === 0) return "";
    if (length === 0xffffffff) return this.cString(data);
    return this.#decoder.decode(this.bytes.subarray(data, data + length));
  }
  /** A WGPUStringView of text, for the time of a call. */
  withStringView<T>(text: string, call: (view: number) => T): T {
    const data = this.newCString(text);
    const view = this.alloc(this.number("WGPUStringView"));
    this.set("WGPUStringView.data", view, data);
    this.set("WGPUStringView.length", view, this.#encoder.encode(text).length);
    try {
      return call(view);
    } finally {
      this.free(view);
      this.free(data);
    }
  }
}
