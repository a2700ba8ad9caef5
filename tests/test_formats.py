#!/usr/bin/env python3
"""Folders and conversions: the numbers of a small GGUF written as Hugging Face and MLC have them, by code of this file
alone, must give the logits of that GGUF, bit for bit. SOLO_BIN is the program."""
import json
import math
import os
import struct
import subprocess
import tempfile
import unittest

from folders import (Gguf, config_of, fused_arrays, hf_arrays, mlc_config, read, spare_the_lowest, write_hf, write_json,
                     write_mlc, write_safetensors)

BIN, CHECKPOINT_FILE = os.environ["SOLO_BIN"], os.environ["SOLO_CHECKPOINT_FILE"]
CHECKPOINTS = ("llama3", "mistral", "biases", "yarn", "phi3", "qwen2", "qwen3", "gpt2", "gemma2", "gemma3")
IDS = [3, 14, 159, 26, 535, 89, 79, 323, 84, 626]
SHORT_IDS = [i % 320 for i in IDS]  # of the checkpoints' vocabulary


def run(*arguments, stdin=None, wanted=0):
    done = subprocess.run([BIN, *arguments], input=stdin, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != wanted:
        raise AssertionError(f"solo {' '.join(arguments)}: wanted exit {wanted}, found {done.returncode}: {done.stderr}")
    return done.stdout if wanted == 0 else done.stderr


def logits(model, *more, device="cpu", ids=IDS):
    out = run("logits", model, "--device", device, "--ids", "--top", "50", *more, stdin=json.dumps(ids))
    return json.loads(out)["top"]


class Formats(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def model(self, preset="toy:64x2x2", kind="f16", output="f16"):
        path = self.path("model.gguf")
        run("synth", preset, path, "--type", kind, "--output-type", output)
        return path

    def test_hugging_face(self):
        for kind in ("f32", "f16", "bf16"):
            path, folder = self.model(kind=kind, output=kind), self.path(f"hf-{kind}")
            os.mkdir(folder)
            write_hf(Gguf(path), folder, 1 if kind == "f16" else 3)
            self.assertEqual(logits(folder), logits(path), kind)
            text = "The year 1984 was <|im_end|>fine.\n"
            self.assertEqual(run("tokenize", folder, "--special", stdin=text), run("tokenize", path, "--special", stdin=text))
            for key in ("arch", "tokenizer", "chat_family", "n_vocab", "bos", "eos", "tied"):
                a, b = json.loads(run("info", folder, "--json")), json.loads(run("info", path, "--json"))
                self.assertEqual(a.get(key), b.get(key), key)

    def checkpoint(self, name, kind):
        """A GGUF of tests/checkpoints.c, and what it holds."""
        path = self.path(f"{name}-{kind}.gguf")
        subprocess.run([CHECKPOINT_FILE, name, path, kind], check=True, timeout=60)
        return path, Gguf(path)

    def assert_alike(self, folder, path, name):
        if name != "llama3":  # whose factors the importer computes, and the GGUF has from elsewhere
            return self.assertEqual(logits(folder, ids=SHORT_IDS), logits(path, ids=SHORT_IDS), name)
        for ours, theirs in zip(logits(folder, ids=SHORT_IDS), logits(path, ids=SHORT_IDS)):
            self.assertEqual(ours["id"], theirs["id"])
            self.assertAlmostEqual(ours["logit"], theirs["logit"], delta=1e-5)

    def test_every_architecture_from_hugging_face(self):
        for name in CHECKPOINTS:
            path, g = self.checkpoint(name, "f32")
            folder = self.path(name)
            os.mkdir(folder)
            write_hf(g, folder, 2)
            self.assert_alike(folder, path, name)

    def test_every_architecture_from_mlc(self):
        for name in CHECKPOINTS:
            path, g = self.checkpoint(name, "q4_0")
            spare_the_lowest(g, False)
            with open(path, "wb") as file:
                file.write(g.bytes)
            folder = self.path(name)
            os.mkdir(folder)
            write_mlc(g, folder, False)
            self.assert_alike(folder, path, name)

    def folder_of(self, name):
        """A checkpoint's folder, its GGUF, and a call that changes settings (None: leaves one out)."""
        path, g = self.checkpoint(name, "f32")
        folder = self.path(name)
        os.mkdir(folder)
        write_hf(g, folder)

        def change(**settings):
            config = {**config_of(g), **settings}
            write_json(folder, "config.json", {k: v for k, v in config.items() if v is not None})
        return folder, path, g, change

    def test_gemma3_as_part_of_what_sees(self):
        """text_config, arrays of the language model beside others, and RoPE by kind of layer as newer files say it."""
        folder, path, g, change = self.folder_of("gemma3")
        text = config_of(g)
        del text["model_type"], text["tie_word_embeddings"]
        write_json(folder, "config.json", {"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 7}})
        arrays = hf_arrays(g)
        for prefix in ("language_model.", "model.language_model."):
            named = {prefix + (name if prefix[0] == "l" else name.removeprefix("model.")): a for name, a in arrays.items()}
            named["vision_tower.vision_model.post_layernorm.weight"] = ("F32", [1], b"\0\0\0\0")
            write_safetensors(os.path.join(folder, "model.safetensors"), named)
            self.assert_alike(folder, path, prefix)
        write_safetensors(os.path.join(folder, "model.safetensors"), arrays)
        change(rope_theta=None, rope_scaling=None, rope_local_base_freq=None, sliding_window_pattern=None,
               layer_types=["sliding_attention", "full_attention", "sliding_attention"], rope_parameters={
                   "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                   "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}})
        self.assert_alike(folder, path, "rope_parameters")

    def test_yarn_settings(self):
        folder, path, _, change = self.folder_of("yarn")
        yarn = {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 32, "beta_fast": 1.6, "beta_slow": 0.08}
        change(max_position_embeddings=32, rope_scaling=yarn)
        self.assert_alike(folder, path, "yarn")  # the context is lengthened: the GGUF's is 64
        for more, wanted in (({"attention_factor": 1.5}, 1.5), ({"mscale": 1.0, "mscale_all_dim": 0.5}, None)):
            change(rope_scaling={**yarn, **more})
            run("convert", folder, self.path("out.gguf"))
            ln = math.log(2) / 10
            found = Gguf(self.path("out.gguf")).values["qwen2.rope.scaling.attn_factor"]
            self.assertAlmostEqual(found * (1 + ln), wanted or (1 + ln) / (1 + 0.5 * ln), places=6)
        change(rope_scaling={**yarn, "truncate": False})
        self.assertIn("\"truncate\": false", run("info", folder, wanted=1))

    def test_settings_that_change_the_result(self):
        two = ["sliding_attention", "full_attention"]
        for name, settings, text in (
                ("gemma2", {"hidden_activation": "relu"}, "'hidden_activation': wanted \"gelu_pytorch_tanh\", found \"relu\""),
                ("gemma3", {"query_pre_attn_scalar": 100}, "'query_pre_attn_scalar'"),
                ("gemma3-", {"layer_types": [two[1], *two]}, "'layer_types'"),
                ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "'scale_attn_by_inverse_layer_idx'"),
                ("gpt2-", {"activation_function": "gelu"}, "'activation_function'"),
                ("mistral", {"layer_types": two}, "'layer_types': wanted layers of one kind"),
                ("llama3", {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "low_freq_factor")):
            folder, _, _, change = self.folder_of(name.rstrip("-"))
            change(**settings)
            self.assertIn(text, run("info", folder, wanted=1), name)
            os.rename(folder, folder + "." + name)

    def test_phi3_is_a_fused_llama(self):
        path, folder = self.model(), self.path("phi3")
        os.mkdir(folder)
        g = Gguf(path)
        write_hf(g, folder)
        n = g.head_dim // 2
        config = {**config_of(g), "model_type": "phi3"}
        write_json(folder, "config.json", config)
        write_safetensors(os.path.join(folder, "model.safetensors"), fused_arrays(g))
        self.assertEqual(json.loads(run("info", folder, "--json"))["arch"], "phi3")
        self.assertEqual(logits(folder), logits(path))
        config.update({"original_max_position_embeddings": 1024, "rope_scaling": {
            "type": "longrope", "long_factor": [2.0] * n, "short_factor": [1.0] * n}})
        write_json(folder, "config.json", config)
        self.assertNotEqual(logits(folder), logits(path))  # cos and sin are longer
        self.assertIn("factors for contexts up to 1024", run("info", folder))

    def test_llama3_factors(self):
        """By the published rule: short waves stay, long ones are divided by the factor."""
        path, folder = self.model(), self.path("hf")
        os.mkdir(folder)
        g = Gguf(path)
        write_hf(g, folder)
        config = config_of(g)
        config["rope_scaling"] = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                  "original_max_position_embeddings": 256}
        write_json(folder, "config.json", config)
        run("convert", folder, self.path("out.gguf"))
        out = Gguf(self.path("out.gguf"))
        found = struct.unpack("<16f", out.rows("rope_freqs.weight")[0])
        self.assertEqual((found[0], found[15]), (1.0, 8.0))
        wave = 2 * math.pi * 10000 ** (2 * 5 / 32)
        smooth = (256 / wave - 1) / 3
        self.assertTrue(0 < smooth < 1)
        self.assertAlmostEqual(found[5], 1 / ((1 - smooth) / 8 + smooth), places=5)

    def test_quantised_while_loading(self):
        path, folder = self.model(), self.path("hf")
        os.mkdir(folder)
        write_hf(Gguf(path), folder)
        run("convert", path, self.path("q.gguf"), "--type", "q4_0")
        self.assertEqual(logits(folder, "--quant", "q4_0"), logits(self.path("q.gguf")))
        self.assertIn("wanted one of", run("logits", folder, "--quant", "q9", "--ids", stdin="[1]", wanted=1))

    def test_mlc(self):
        for wide in (False, True):
            path, folder = self.model(kind="q4_0", output="q4_0"), self.path(f"mlc-{wide}")
            g = Gguf(path)
            spare_the_lowest(g, wide)
            with open(path, "wb") as file:
                file.write(g.bytes)
            os.mkdir(folder)
            write_mlc(g, folder, wide, "tensor-cache.json" if wide else "ndarray-cache.json")
            self.assertEqual(logits(folder), logits(path), wide)
            if wide:  # a form of its own on the GPU
                self.assertEqual(logits(folder, device="auto"), logits(path, device="auto"))
                talk = [run("run", model, "-p", "The", "--raw", "-n", "12", "--json") for model in (folder, path)]
                self.assertEqual(*[json.loads(t)["tokens"] for t in talk])
        err = run("convert", folder, self.path("out.gguf"), wanted=2)
        self.assertIn("q4f32_1", err)
        run("convert", folder, self.path("out.gguf"), "--type", "f32")  # every product is an f32 already
        self.assertEqual(len(logits(self.path("out.gguf"))), 50)

    def test_convert_back(self):
        """A folder as a GGUF is the GGUF that it came from, tensor for tensor."""
        path, folder, back = self.model(), self.path("hf"), self.path("back.gguf")
        os.mkdir(folder)
        g = Gguf(path)
        write_hf(g, folder)
        run("convert", folder, back)
        found = Gguf(back)
        self.assertEqual({k: found.rows(k) for k in found.tensors}, {k: g.rows(k) for k in g.tensors})
        for key in ("tokens", "merges", "token_type", "bos_token_id", "eos_token_id", "model", "pre"):
            self.assertEqual(found.values["tokenizer.ggml." + key], g.values["tokenizer.ggml." + key], key)

    def test_types(self):
        path = self.model("toy:256x1x4")
        wanted = logits(path)
        for kind in ("f32", "bf16", "q8_0", "q6_k", "q5_1", "q5_k", "q4_1", "q4_k", "iq4_nl", "iq4_xs", "mxfp4", "q3_k", "q2_k"):
            run("convert", path, self.path("out.gguf"), "--type", kind)
            info = json.loads(run("info", self.path("out.gguf"), "--json"))
            self.assertEqual(info["file_type"].lower(), kind)
            found = logits(self.path("out.gguf"))
            if kind == "f32":
                self.assertEqual(found, wanted)

    def test_bad_folders(self):
        path, folder = self.model(), self.path("hf")
        os.mkdir(folder)
        g = Gguf(path)
        write_hf(g, folder)
        whole = read(os.path.join(folder, "model.safetensors"))

        def refused(text):
            self.assertIn(text, run("info", folder, wanted=1))

        for cut in (0, 7, 30, len(whole) - 1):
            with open(os.path.join(folder, "model.safetensors"), "wb") as file:
                file.write(whole[:cut])
            refused("model.safetensors")
        arrays = hf_arrays(g)
        arrays["model.layers.0.mlp.strange.weight"] = ("F32", [1], b"\0\0\0\0")
        write_safetensors(os.path.join(folder, "model.safetensors"), arrays)
        refused("'model.layers.0.mlp.strange.weight'")
        arrays = hf_arrays(g)
        del arrays["model.layers.1.self_attn.v_proj.weight"]
        write_safetensors(os.path.join(folder, "model.safetensors"), arrays)
        refused("blk.1.attn_v.weight")
        with open(os.path.join(folder, "model.safetensors"), "wb") as file:
            file.write(whole)
        for key, value, text in (("model_type", "mamba", "wanted one of (llama"), ("hidden_size", None, "'hidden_size'"),
                                 ("rope_scaling", {"rope_type": "dynamic"}, "found \"dynamic\""), ("hidden_act", "relu", "relu"),
                                 ("hidden_size", 32, "wanted 32 x")):
            config = config_of(g)
            config[key] = value
            write_json(folder, "config.json", config)
            refused(text)
        os.remove(os.path.join(folder, "config.json"))
        refused("config.json")


if __name__ == "__main__":
    unittest.main()
