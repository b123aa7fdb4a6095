// Print what validators of npm find in a definition on standard input, as JSON: findings by validator, and how many
// paths were looked at. Runs where the packages are: node validate.mjs < definition.json

import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const require = createRequire(`${process.cwd()}/`);
const { getLanguageService } = require("amazon-states-language-service");
const { TextDocument } = require("vscode-languageserver-textdocument");
const aslValidator = require("asl-validator");
const { validatePath } = require("asl-path-validator");

const definition = await text(process.stdin);
const paths = [...pathsOf(JSON.parse(definition))];

console.log(
  JSON.stringify({
    paths: paths.length,
    findings: {
      "amazon-states-language-service": await languageService(),
      // Its check of paths knows no intrinsic functions where Fail states have them; asl-path-validator checks them below.
      "asl-validator": aslValidator(JSON.parse(definition), { checkPaths: true, checkArn: true }).errors.map(
        (error) => JSON.stringify(error),
      ),
      "asl-path-validator": paths.flatMap(([place, path, context]) => {
        const result = validatePath(path, context);
        return result.isValid ? [] : [`${place}: ${path} (${result.code})`];
      }),
    },
  }),
);

async function languageService() {
  const document = TextDocument.create("file:///machine.asl.json", "asl", 1, definition);
  const service = getLanguageService({});
  const found = await service.doValidation(document, service.parseJSONDocument(document));
  return found.map(({ range, message }) => `line ${range.start.line + 1}: ${message}`);
}

function* pathsOf(machine) {
  for (const [name, state] of Object.entries(machine.States)) {
    for (const key of ["Parameters", "ResultSelector", "ItemSelector"]) yield* inTemplate(state[key], `${name}.${key}`);
    const contexts = {
      InputPath: "path", OutputPath: "path", ItemsPath: "reference_path", ResultPath: "result_path",
      TimeoutSecondsPath: "reference_path", SecondsPath: "reference_path", CausePath: "payload_template",
      ErrorPath: "payload_template",
    };
    for (const [key, context] of Object.entries(contexts))
      if (typeof state[key] === "string") yield [`${name}.${key}`, state[key], context];
    for (const rule of state.Choices ?? []) yield* inRule(rule, name);
    for (const { ResultPath } of state.Catch ?? []) if (ResultPath) yield [`${name}.Catch`, ResultPath, "result_path"];
    for (const part of [...(state.Branches ?? []), ...(state.ItemProcessor ? [state.ItemProcessor] : [])])
      yield* pathsOf(part);
  }
}

function* inTemplate(value, place) {
  if (value === null || typeof value !== "object") return;
  for (const [key, entry] of Object.entries(value))
    if (key.endsWith(".$")) yield [`${place}.${key}`, entry, "payload_template"];
    else yield* inTemplate(entry, `${place}.${key}`);
}

function* inRule(rule, place) {
  if (rule.Variable) yield [place, rule.Variable, "path"];
  for (const [key, value] of Object.entries(rule)) if (key.endsWith("Path")) yield [`${place}.${key}`, value, "path"];
  for (const inner of [...(rule.And ?? []), ...(rule.Or ?? []), ...(rule.Not ? [rule.Not] : [])])
    yield* inRule(inner, place);
}
