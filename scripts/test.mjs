/**
 * Runs the tests and ends with one line that machines read: `N passed, N failed`. Arguments go to vitest, so that
 * `npm test -- test/protocol` runs a part.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const NODE_MAJOR_MIN = 24
if (Number(process.versions.node.split(".")[0]) < NODE_MAJOR_MIN) {
  console.error(`the tests need Node ${NODE_MAJOR_MIN} or newer, this is ${process.version}: start them with npm test`)
  process.exit(1)
}

const directory = mkdtempSync(join(tmpdir(), "effect-pilot-test-"))
const report = join(directory, "report.json")
const vitest = join(import.meta.dirname, "..", "node_modules", "vitest", "vitest.mjs")
const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`]
const { status } = spawnSync(process.execPath, [vitest, "run", ...reporters, ...process.argv.slice(2)], {
  stdio: "inherit"
})
const counts = (() => {
  try {
    return JSON.parse(readFileSync(report, "utf8"))
  } catch {
    return { numPassedTests: 0, numFailedTests: 1 }
  }
})()
rmSync(directory, { recursive: true, force: true })
// A file that cannot even be loaded has no tests to fail, yet it is a failure.
const failed = Math.max(counts.numFailedTests, status === 0 ? 0 : 1)
console.log(`${counts.numPassedTests} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
