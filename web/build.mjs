// Builds the console's assets into the Python package: scripts, one style sheet, the font. Run by `make web`.
import { build } from "esbuild";
import { cp, mkdir, rm, writeFile, readFile } from "node:fs/promises";

const out = "../src/lakebed/console/static";
await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const common = { bundle: true, minify: true, target: ["es2022"], legalComments: "none", logLevel: "warning" };
await build({ ...common, entryPoints: ["src/console.js"], outfile: `${out}/console.js`, format: "esm" });
await build({ ...common, entryPoints: ["src/chart.js"], outfile: `${out}/chart.js`, format: "esm" });
await build({ ...common, entryPoints: ["src/editor.js"], outfile: `${out}/editor.js`, format: "esm" });
await build({ ...common, entryPoints: ["src/mqtt.js"], outfile: `${out}/mqtt.js`, format: "esm" });
await build({ ...common, entryPoints: ["src/console.css"], outfile: `${out}/console.css`, external: ["*.woff2"] });
await cp("src/icon.svg", `${out}/icon.svg`);
const fonts = "node_modules/@fontsource-variable/open-sans/files";
await cp(`${fonts}/open-sans-latin-wght-normal.woff2`, `${out}/open-sans.woff2`);
const versions = JSON.parse(await readFile("package.json", "utf8")).dependencies;
await writeFile(
  `${out}/NOTICE.txt`,
  `chart.js contains Apache ECharts ${versions.echarts} (Apache-2.0) and zrender (BSD-3-Clause).\n` +
    `editor.js contains CodeMirror ${versions["@codemirror/view"]} and Lezer (MIT).\n` +
    `mqtt.js contains MQTT.js ${versions.mqtt} (MIT).\n` +
    `open-sans.woff2 is Open Sans (SIL Open Font License 1.1), by way of @fontsource-variable/open-sans.\n` +
    `Colours follow the Cloudscape design tokens (Apache-2.0).\n`,
);
// The budget, checked here: the shell 60 KB, a page with everything 750 KB, gzipped.
const { gzipSync } = await import("node:zlib");
const weigh = async (name) => gzipSync(await readFile(`${out}/${name}`)).length / 1024;
const shell = (await weigh("console.js")) + (await weigh("console.css"));
const page = shell + (await weigh("chart.js")) + (await weigh("editor.js")) + (await weigh("open-sans.woff2"));
console.log(`shell ${shell.toFixed(0)} KB, everything ${page.toFixed(0)} KB gzipped`);
if (shell > 60 || page > 750) throw new Error("the console is over its budget of bytes");
