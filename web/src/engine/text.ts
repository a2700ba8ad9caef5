/** Bytes of tokens to text that may be shown: no half characters, and nothing that may yet turn out to be the beginning of a
 *  stop text. */
export class TextWriter {
  readonly #stops: string[];
  readonly #decoder = new TextDecoder();
  #held = "";
  #shown = "";
  stopped = false;

  constructor(stops: string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
  }

  /** All that was shown. */
  get text(): string {
    return this.#shown;
  }

  #show(n: number): string {
    const text = this.#held.slice(0, n);
    this.#held = this.#held.slice(n);
    this.#shown += text;
    return text;
  }

  /** Where held text ends that cannot be part of a stop text. */
  #certain(): number {
    let certain = this.#held.length;
    for (const stop of this.#stops)
      for (let n = Math.min(stop.length - 1, this.#held.length); n > 0; n--)
        if (stop.startsWith(this.#held.slice(-n))) {
          certain = Math.min(certain, this.#held.length - n);
          break;
        }
    return certain;
  }

  #take(text: string): string {
    if (this.stopped) return "";
    this.#held += text;
    const found = this.#stops.map((stop) => this.#held.indexOf(stop)).filter((at) => at >= 0);
    if (found.length === 0) return this.#show(this.#certain());
    this.stopped = true;
    const shown = this.#show(Math.min(...found));
    this.#held = "";
    return shown;
  }

  push(bytes: Uint8Array<ArrayBuffer>): string {
    return this.#take(this.#decoder.decode(bytes, { stream: true }));
  }
  /** The rest, at the end of an answer. */
  end(): string {
    const last = this.#take(this.#decoder.decode());
    return this.stopped ? last : last + this.#show(this.#held.length);
  }
}
