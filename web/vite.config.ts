import { execFileSync } from "node:child_process";
import { createReadStream, existsSync, readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const models = fileURLToPath(new URL("../models/", import.meta.url));

/** While developing: the models of this checkout, as tools/serve_web.mjs offers them. */
const localModels: Plugin = {
  name: "local-models",
  configureServer(server) {
    server.middlewares.use((request, response, next) => {
      const name = /^\/models\/([\w.-]+\.gguf)$/.exec(request.url ?? "")?.[1];
      if (request.url === "/local-models.json") {
        const names = existsSync(models) ? readdirSync(models).filter((each) => each.endsWith(".gguf")) : [];
        return void response.end(
          JSON.stringify(names.map((each) => ({ url: `models/${each}`, size: statSync(models + each).size }))),
        );
      }
      if (!name || !existsSync(models + name)) return next();
      response.setHeader("Content-Length", statSync(models + name).size);
      createReadStream(models + name).pipe(response);
    });
  },
};

/** Of the page's results, where this is a checkout. */
function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: fileURLToPath(new URL("..", import.meta.url)), encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

export default defineConfig({
  define: { __SOLO_COMMIT__: JSON.stringify(commit()) },
  base: "./", // dist/ works under any path of any host
  plugins: [localModels],
  worker: { format: "es" },
  build: { outDir: "../dist", emptyOutDir: true, target: "es2022", assetsInlineLimit: 0 },
});
