// node_version.mjs: fails, saying so, where Node is older than what web/ is built with runs on.
const WANTED = [20, 19];
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < WANTED[0] || (major === WANTED[0] && minor < WANTED[1])) {
  console.error(`web: wanted Node ${WANTED.join(".")} or newer, found ${process.versions.node}`);
  process.exit(1);
}
