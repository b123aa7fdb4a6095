// Reads a graph in ELK's JSON from standard input and writes it with the positions that ELK has chosen.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.argv[2]}/`);
const ELK = require("elkjs/lib/elk.bundled.js");
const graph = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(await new ELK().layout(graph)));
