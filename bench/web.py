#!/usr/bin/env python3
"""web.py CHROMIUM MODEL.gguf OUT.json: decode speed of factorings in Chromium and natively, in one run.

Serves the built package (build/web/solo-engine.tgz), the model and bench/web.html on a free port, times the native build,
then lets Chromium do the same rows, with four tokens in flight, and writes one JSON with both and their ratios. With --specs
the page then does those experiments (docs/sweep.md), each a file NAME.jsonl beside OUT, row by row. Needs nothing but Python's
standard library, so that it runs where there is a GPU and little else. CHROMIUM may be a script.
"""
import argparse
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading

TOP = pathlib.Path(__file__).resolve().parent.parent
GPU_FLAGS = "--use-angle=vulkan --enable-features=Vulkan --disable-vulkan-surface --ignore-gpu-blocklist"
FLAGS = ["--headless=new", "--no-sandbox", "--enable-unsafe-webgpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
         # a page that nobody looks at would be slowed down
         "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows"]
TYPES = {".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm"}
KEYS = {"wg": "workgroup_size", "n": "n_workgroup", "queue": "queue", "activations": "activations"}


def parse_row(text):
    """A row as `solo bench --factorings` has it: NAME[:static|:ticket][@KEY=VALUE,...]."""
    name, _, keys = text.partition("@")
    row = {}
    for form in ("static", "ticket"):
        if name.endswith(":" + form):
            name, row["assignment"] = name.removesuffix(":" + form), form
    row["factoring"] = name
    for pair in filter(None, keys.split(",")):
        key, _, value = pair.partition("=")
        if key == "across":
            row |= {"queue": int(value), "queue_across": True}
        elif key in KEYS:
            row[KEYS[key]] = int(value) if value.isdigit() else value
        else:
            sys.exit(f"{text}: wanted a key of {', '.join([*KEYS, 'across'])}, found {key!r}")
    return row


def split_rows(text):
    """Commas part rows, and the keys of a row: a piece with '=' but no '@' belongs to the row before it."""
    rows = []
    for piece in text.split(","):
        if "=" in piece and "@" not in piece and rows:
            rows[-1] += "," + piece
        else:
            rows.append(piece)
    return rows


class Handler(http.server.BaseHTTPRequestHandler):
    files, job, done, result, folder = {}, {}, threading.Event(), {}, pathlib.Path()
    lock = threading.Lock()

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/job.json":
            return self.send(200, "application/json", json.dumps(self.job).encode())
        file = self.files.get(path)
        if path.startswith("/package/") and ".." not in path:
            file = self.files["/package/"] / path.removeprefix("/package/")
        if not file or not file.is_file():
            return self.send(404, "text/plain", b"")
        size = file.stat().st_size
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(found[1]) if found else 0
        end = min(int(found[2]), size - 1) if found and found[2] else size - 1
        self.send_response(206 if found else 200)
        self.send_header("Content-Type", TYPES.get(file.suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(end - start + 1))
        if found:
            self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
        self.end_headers()
        with open(file, "rb") as source:
            source.seek(start)
            left = end - start + 1
            while left > 0 and (piece := source.read(min(left, 1 << 20))):
                self.wfile.write(piece)
                left -= len(piece)

    def do_POST(self):
        value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.startswith("/sweep/"):
            self.keep_line(pathlib.PurePosixPath(self.path).name, value)
        elif self.path in ("/result", "/done"):
            self.result.update(value)
            if self.path == "/done":
                self.done.set()
        else:
            print(f"  {value['factoring']} after {value['positions']}: {value['tok_s']:.1f} tok/s {value['note']}", file=sys.stderr)
        self.send(200, "text/plain", b"")

    def keep_line(self, spec, value):
        """Rows are kept as they come; the head, which the page knows last, goes before them."""
        path = self.folder / f"{spec}.jsonl"
        with self.lock:
            rows = path.read_text() if path.exists() else ""
            if value["what"] == "head":
                rows = json.dumps(value | {"commit": self.job["commit"]}, separators=(",", ":")) + "\n" + rows
            else:
                rows += json.dumps(value, separators=(",", ":")) + "\n"
            path.write_text(rows)
        if value["what"] == "row":
            print(f"  {value['key']}: {value.get('tok_s', value.get('reason'))}", file=sys.stderr)

    def send(self, code, kind, body):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def run_native(options, rows):
    command = [options.solo, "bench", options.model, "--device", options.device, "--factorings", ",".join(rows), "--positions",
               options.positions, "-n", str(options.tokens), "--samples", str(options.samples), "--ctx", str(options.ctx), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=options.timeout)
    if not done.stdout:
        sys.exit(f"{' '.join(command)}: wanted JSON, found nothing (exit code {done.returncode})")
    return json.loads(done.stdout)


def run_page(options, rows, folder):
    with tarfile.open(options.package) as tar:
        tar.extractall(folder)
    Handler.files = {"/": TOP / "bench/web.html", "/package/": folder / "package", "/model.gguf": pathlib.Path(options.model)}
    Handler.job = {"build": options.build, "rows": [parse_row(row) for row in rows], "tokens": options.tokens, "n_ctx": options.ctx,
                   "samples": options.samples, "positions": [int(n) for n in options.positions.split(",")], "probe": not options.no_probe,
                   "quick": options.quick, "commit": options.commit,
                   "specs": {name: (TOP / f"bench/specs/{name}.json").read_text() for name in options.specs.split()}}
    Handler.folder = pathlib.Path(options.out).resolve().parent
    for spec in options.specs.split():
        (Handler.folder / f"{spec}.jsonl").unlink(missing_ok=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(folder / "chromium.log", "wb") as log:
        browser = subprocess.Popen([options.chromium, *FLAGS, *options.flags.split(), f"--user-data-dir={folder}/profile",
                                    f"http://127.0.0.1:{server.server_port}/"], stdout=log, stderr=log, start_new_session=True)
    try:
        waited = 0
        while not Handler.done.wait(1):
            waited += 1
            if browser.poll() is not None or waited > options.timeout:
                if "results" in Handler.result:
                    Handler.result["error"] = f"experiments: wanted an end within {options.timeout} s, found none"
                    break
                tail = (folder / "chromium.log").read_text(errors="replace")[-2000:]
                sys.exit(f"{options.chromium}: wanted a result within {options.timeout} s, found none; it said:\n{tail}")
    finally:
        if browser.poll() is None:
            os.killpg(browser.pid, 15)
            browser.wait(20)
        server.shutdown()
    if "error" in Handler.result and "results" not in Handler.result:
        sys.exit(f"the page failed: {Handler.result['error']}")
    return Handler.result


def compare(rows, native, page):
    table = []
    for result in page["results"]:
        for name, row in zip(rows, result["rows"]):
            same = [each for each in native["rows"] if each["factoring"] == name and each["n_pos"] == result["positions"]]
            speed = same[0].get("tok_s") if same else None
            entry = {"factoring": name, "n_pos": result["positions"], "dispatches_per_token": row["dispatches_per_token"],
                     "page_tok_s": row["tokens_per_second"], "native_tok_s": speed, "status": row["status"], "note": row["note"],
                     "logits_hash": row["logits_hash"], "ids_hash": row["ids_hash"]}
            entry["page_of_native"] = row["tokens_per_second"] / speed if speed else None
            table.append(entry)
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chromium")
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--rows", default="unfused,roles,stages,layer,chunk:8,single,burst:4", help="as solo bench --factorings")
    parser.add_argument("--positions", default="128")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--samples", type=int, default=7)
    parser.add_argument("--ctx", type=int, default=4096)
    parser.add_argument("--flags", default=GPU_FLAGS, help="more of Chromium's; for a software adapter ''")
    parser.add_argument("--build", default="auto", help="auto, jspi or asyncify")
    parser.add_argument("--no-probe", action="store_true")
    parser.add_argument("--specs", default="", help="experiments for the page, by name")
    parser.add_argument("--quick", action="store_true", help="their small forms, for a software adapter")
    parser.add_argument("--solo", default=str(TOP / "build/solo"))
    parser.add_argument("--device", default="auto", help="of the native run")
    parser.add_argument("--package", default=str(TOP / "build/web/solo-engine.tgz"))
    parser.add_argument("--commit", default="unknown")
    parser.add_argument("--timeout", type=int, default=1200, help="seconds for each of the two")
    options = parser.parse_args()
    rows = split_rows(options.rows)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="solo-web-"))
    try:
        native = run_native(options, rows)
        page = run_page(options, rows, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table = compare(rows, native, page)
    flags = [*FLAGS, *options.flags.split()]
    pathlib.Path(options.out).write_text(json.dumps({"commit": options.commit, "chromium_flags": flags, "rows": table, "page": page,
                                                     "native": native}, indent=1) + "\n")
    print("| factoring | positions | dispatches a token | page tok/s | native tok/s | page of native |\n|---|---|---|---|---|---|")
    for row in table:
        native_speed = f"{row['native_tok_s']:.1f}" if row["native_tok_s"] else "-"
        share = f"{100 * row['page_of_native']:.1f} %" if row["page_of_native"] else "-"
        note = f" ({row['status']}: {row['note']})" if row["status"] != "ok" else ""
        print(f"| `{row['factoring']}`{note} | {row['n_pos']} | {row['dispatches_per_token']:.3g} | {row['page_tok_s']:.1f} | "
              f"{native_speed} | {share} |")
    if "error" in page:
        sys.exit(f"the page failed: {page['error']}")
    sys.exit(any(row["status"] == "failed" for row in table))


if __name__ == "__main__":
    main()
