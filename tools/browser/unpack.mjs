// Unpacks Chromium and the libraries that it needs into the folder of TMPDIR.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// Only under this name it unpacks its libraries too.
process.env.AWS_EXECUTION_ENV = "AWS_Lambda_nodejs22.x";
const found = createRequire(`${process.cwd()}/`).resolve("@sparticuz/chromium");
const { default: chromium } = await import(pathToFileURL(found).href);
console.log(await chromium.executablePath());
