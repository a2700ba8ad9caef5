/** Small models to begin with. Files on the hub are named by their shape; see load/address.ts. The addresses are their
 *  publishers': no test reaches them, and where one has moved the page says so with the address. */
export interface Preset {
  title: string;
  url: string;
  /** About, for the list; what counts is what the server says. */
  bytes: number;
  about: string;
}

export const PRESETS: Preset[] = [
  {
    title: "SmolLM2 135M",
    url: "bartowski/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct-Q4_0.gguf",
    bytes: 92_000_000,
    about: "Quick to try; knows little",
  },
  {
    title: "Llama 3.2 1B",
    url: "bartowski/Llama-3.2-1B-Instruct-GGUF/Llama-3.2-1B-Instruct-Q4_0.gguf",
    bytes: 773_000_000,
    about: "Good answers on most GPUs",
  },
  {
    title: "Phi-3 mini 3.8B",
    url: "microsoft/Phi-3-mini-4k-instruct-gguf/Phi-3-mini-4k-instruct-q4.gguf",
    bytes: 2_390_000_000,
    about: "The model of the spectrum's question; wants 4 GB of GPU memory",
  },
];

/** Models that this page's own host offers beside it. */
export async function localModels(): Promise<Preset[]> {
  try {
    const list = (await (await fetch("local-models.json")).json()) as {
      url: string;
      size: number;
      title?: string;
      about?: string;
    }[];
    return list.map(({ url, size, title, about }) => ({
      title:
        title ??
        url
          .split("/")
          .pop()!
          .replace(/\.gguf$/, ""),
      url: new URL(url, location.href).href,
      bytes: size,
      about: about ?? "On this server",
    }));
  } catch {
    return [];
  }
}
