import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import type { Report } from "../../support/IdleConnections.ts"

const PROGRAM = fileURLToPath(new URL("../../support/IdleConnections.ts", import.meta.url))
const CONNECTIONS = 10_000
/** Architecture, bars: a node with ten thousand idle connections. */
const BYTES_MAX = 10 * 1024

describe("ten thousand idle connections", () => {
  it("take at most 10 KB each at either end, and arm no timer of their own", { timeout: 180_000 }, async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", PROGRAM, String(CONNECTIONS)])
    const report: Report = JSON.parse(stdout)

    assert.strictEqual(report.connections, CONNECTIONS)
    assert.isBelow(report.bytesPerEnd, BYTES_MAX)
    assert.isAtMost(report.sleepsAfter, report.sleepsBefore)
  })
})
