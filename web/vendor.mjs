// Copies what the pages load from node_modules into the package, and gathers the icons they use into one sprite.
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

const modules = new URL("node_modules/", import.meta.url).pathname;
const vendor = new URL("shopgraph_web/static/vendor/", import.meta.url).pathname;

const files = {
  "@tabler/core/dist/css/tabler.min.css": "tabler.min.css",
  "@tabler/core/dist/js/tabler.min.js": "tabler.min.js",
  "htmx.org/dist/htmx.min.js": "htmx.min.js",
  "cytoscape/dist/cytoscape.min.js": "cytoscape.min.js",
  "echarts/dist/echarts.common.min.js": "echarts.min.js",
};

const licences = {
  "@tabler/core": "MIT",
  "@tabler/icons": "MIT",
  "htmx.org": "0BSD",
  cytoscape: "MIT",
  echarts: "Apache-2.0",
};

const icons = [
  "activity", "affiliate", "alert-triangle", "arrow-left", "building-store", "category", "chart-bar", "chevron-left",
  "chevron-right", "circle-check", "clock", "gavel", "key", "lock", "login", "logout", "package", "player-play", "plug-x",
  "plus", "refresh", "rocket", "search", "shopping-cart", "sparkles", "tag", "topology-star-3", "user",
  "user-plus", "users",
];

async function symbol(name) {
  const svg = await readFile(join(modules, "@tabler/icons/icons/outline", `${name}.svg`), "utf8");
  const body = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>")).trim();
  return `<symbol id="${name}" viewBox="0 0 24 24">${body}</symbol>`;
}

await rm(vendor, { recursive: true, force: true });
await mkdir(vendor, { recursive: true });
for (const [from, to] of Object.entries(files)) {
  await cp(join(modules, from), join(vendor, to));
}
const sprite = (await Promise.all(icons.map(symbol))).join("\n");
await writeFile(join(vendor, "icons.svg"), `<svg xmlns="http://www.w3.org/2000/svg">\n${sprite}\n</svg>\n`);

const versions = [];
for (const [name, licence] of Object.entries(licences)) {
  const { version } = JSON.parse(await readFile(join(modules, name, "package.json"), "utf8"));
  versions.push(`${name} ${version} (${licence})`);
}
await writeFile(join(vendor, "VERSIONS.txt"), `${versions.join("\n")}\n`);
