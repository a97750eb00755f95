// node .ci/summary.js FOLDER [FAILED-STEP ...]: adds up the JSON reports of vitest in a folder and
// prints "N passed, N failed" as the last line. Ends with 1 when anything failed.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const [folder, ...broken] = process.argv.slice(2);
let passed = 0;
const failed = [];
for (const name of readdirSync(folder)) {
  const report = JSON.parse(readFileSync(join(folder, name), "utf8"));
  passed += report.numPassedTests;
  const before = failed.length;
  for (const file of report.testResults) {
    const tests = file.assertionResults.filter((test) => test.status === "failed");
    for (const test of tests) failed.push(`${file.name}: ${test.fullName}`);
    // A file that cannot even be loaded has no tests, and is still a failure.
    if (file.status === "failed" && tests.length === 0) failed.push(file.name);
  }
  // What failed inside the tests is listed already; the step that ran them adds nothing.
  const step = broken.indexOf(name.replace(/\.json$/, ""));
  if (step >= 0 && failed.length > before) broken.splice(step, 1);
}
failed.push(...broken.map((step) => `step ${step}`));
for (const line of failed) console.log(`FAILED ${line}`);
console.log(`${passed} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 ? 1 : 0;
