// reader.mjs: what `solo convert` writes, read by npm @huggingface/gguf, which shares no code with Solo: values, and each
// tensor's name, shape, type and place. SOLO_BIN is the program. (tools/convert_check.py looks at the numbers too.)
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { GGMLQuantizationType, gguf } = await import("../web/node_modules/@huggingface/gguf/dist/index.mjs").catch((why) => {
  console.log(`UNRUN: ${why.message} (tools/setup.sh test fetches it)`);
  process.exit(77);
});
// Weights and bytes of a block, by the formats' definitions.
const BLOCKS = {
  F32: [1, 4], F16: [1, 2], BF16: [1, 2], Q8_0: [32, 34], Q6_K: [256, 210], Q5_K: [256, 176], Q5_1: [32, 24],
  Q5_0: [32, 22], Q4_K: [256, 144], Q4_1: [32, 20], Q4_0: [32, 18], IQ4_NL: [32, 18], IQ4_XS: [256, 136],
  MXFP4: [32, 17], Q3_K: [256, 110], Q2_K: [256, 84],
};
const folder = mkdtempSync(join(tmpdir(), "solo-reader-"));
const solo = (...args) => execFileSync(process.env.SOLO_BIN, args, { stdio: ["ignore", "ignore", "inherit"] });
const read = (path) => gguf(path, { allowLocalFile: true });

try {
  const source = join(folder, "source.gguf");
  const out = join(folder, "out.gguf");
  solo("synth", "toy:256x1x4", source, "--type", "f32", "--output-type", "f32");
  const before = await read(source);
  for (const type of Object.keys(BLOCKS)) {
    solo("convert", source, out, "--type", type.toLowerCase());
    const { metadata, tensorInfos, tensorDataOffset } = await read(out);
    assert.equal(metadata.version, 3);
    for (const key of ["general.architecture", "llama.embedding_length", "tokenizer.ggml.tokens"])
      assert.deepEqual(metadata[key], before.metadata[key], `${type}: ${key}`);
    assert.deepEqual(tensorInfos.map((t) => [t.name, t.shape]), before.tensorInfos.map((t) => [t.name, t.shape]), type);
    let end = 0;
    for (const t of tensorInfos) {
      const [weights, bytes] = BLOCKS[GGMLQuantizationType[t.dtype]];
      assert.equal(Number(t.offset), end, `${type}: ${t.name}`);
      const n = t.shape.reduce((product, size) => product * Number(size), 1);
      end = Math.ceil((end + (n / weights) * bytes) / 32) * 32;
    }
    const down = tensorInfos.find((t) => t.name === "blk.0.ffn_down.weight");
    assert.equal(GGMLQuantizationType[down.dtype], type);
    assert.equal(statSync(out).size, Number(tensorDataOffset) + end, type);
  }
  console.log(`${Object.keys(BLOCKS).length} types read`);
} finally {
  rmSync(folder, { recursive: true });
}
