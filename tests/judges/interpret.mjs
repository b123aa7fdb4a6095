// Run cases of a state machine on npm's aws-local-stepfunctions. Standard input: {definition, cases, responses} as
// in the mock file; standard output, as JSON: for each case its status, error, cause, output and the states entered.
// Waits and pauses before retries take a millisecond.

import { createRequire } from "node:module";
import { json } from "node:stream/consumers";

const require = createRequire(`${process.cwd()}/`);
const { StateMachine } = require("aws-local-stepfunctions");

const { definition, cases, responses } = await json(process.stdin);
const states = [...statesOf(definition)];
const tasks = states.filter(([, state]) => state.Type === "Task").map(([name]) => name);
const waits = states.filter(([, state]) => state.Type === "Wait").map(([name]) => name);
const all = (names, value) => Object.fromEntries(names.map((name) => [name, value]));

const results = {};
for (const [name, mocked] of Object.entries(cases)) results[name] = await run(mocked);
console.log(JSON.stringify(results));

async function run(mocked) {
  const invocations = {};
  const answer = (task) => async () => {
    const number = (invocations[task] = (invocations[task] ?? -1) + 1);
    for (const [range, outcome] of Object.entries(responses[mocked[task]] ?? {})) {
      const [first, last = first] = range.split("-").map(Number);
      if (number < first || number > last) continue;
      // A copy, since States.JsonMerge changes its first argument.
      if ("Return" in outcome) return structuredClone(outcome.Return);
      throw Object.assign(new Error(outcome.Throw.Cause), { name: outcome.Throw.Error });
    }
    throw Object.assign(new Error(`"${task}" has no response ${number}`), { name: "States.Runtime" });
  };
  const machine = new StateMachine(definition, { validationOptions: { checkArn: false } });
  const execution = machine.run({}, {
    overrides: {
      taskResourceLocalHandlers: Object.fromEntries(tasks.map((task) => [task, answer(task)])),
      waitTimeOverrides: all(waits, 1),
      retryIntervalOverrides: all(tasks, 1),
    },
    context: {
      Execution: {
        Id: "arn:aws:states:eu-central-1:123456789012:execution:judged:sample", Input: {}, Name: "sample",
        StartTime: "2026-11-23T09:15:00.123Z", RedriveCount: 0,
      },
      State: { RetryCount: 0 },
    },
  });
  const entered = [];
  let last = {};
  const listening = (async () => {
    for await (const event of execution.eventLogs) {
      if (event.type === "StateEntered" || event.type === "MapStateEntered") entered.push(event.state?.name);
      last = event;
    }
  })();
  let outcome;
  try {
    outcome = { status: "SUCCEEDED", output: await execution.result };
  } catch (error) {
    outcome = { status: "FAILED", error: error.name, cause: error.message };
  }
  await listening;
  if (outcome.status === "FAILED") Object.assign(outcome, { error: last.Error ?? outcome.error, cause: last.Cause ?? outcome.cause });
  return { ...outcome, entered };
}

function* statesOf(machine) {
  for (const [name, state] of Object.entries(machine.States)) {
    yield [name, state];
    for (const part of [...(state.Branches ?? []), ...(state.ItemProcessor ? [state.ItemProcessor] : [])])
      yield* statesOf(part);
  }
}
