import { assert, describe, it } from "@effect/vitest"
import type * as MountControl from "../../src/actors/mcp/MountControl.ts"
import * as MountText from "../../src/cli/mcp/MountText.ts"
import * as Json from "../../src/core/data/Json.ts"

const SESSION: MountControl.Session = {
  target: "mcp-host/files",
  isConnected: true,
  inFlight: 0,
  breaker: "closed",
  reason: "",
  retryInMs: 0,
  refused: 0
}
const SIGN = { verdict: "healthy", tools: 14, reason: "", tookMs: 2.13, atMs: 2000 } as const

const shown = (changes: Partial<MountControl.Session>) => {
  const state = { pid: 7, serves: "stdio", startedAtMs: 0, instances: [], sessions: [{ ...SESSION, ...changes }] }
  const [session = {}] = Json.objects(MountText.row(state), "sessions")
  return { verdict: Json.string(session, "verdict"), line: MountText.lines(state)[1] ?? "" }
}

describe("a session of a mount", () => {
  it("is healthy only if its server listed tools when it was asked, and no call has failed since", () => {
    assert.strictEqual(shown({}).verdict, "unknown")
    assert.strictEqual(shown({ answeredAtMs: 5000 }).verdict, "unknown", "nobody knows whether it has tools")
    assert.strictEqual(shown({ sign: SIGN }).verdict, "healthy")
    assert.strictEqual(shown({ sign: { ...SIGN, verdict: "no-tools", tools: 0 } }).verdict, "no-tools")
    assert.strictEqual(shown({ sign: SIGN, failedAtMs: 3000 }).verdict, "failing")
    assert.strictEqual(shown({ sign: SIGN, failedAtMs: 3000, answeredAtMs: 4000 }).verdict, "healthy")
    assert.strictEqual(shown({ sign: SIGN, breaker: "open" }).verdict, "failing")
  })

  it("is told in a line, with its breaker and with what its server said", () => {
    assert.strictEqual(
      shown({ sign: SIGN, inFlight: 2, answeredAtMs: 1000 }).line,
      "  session mcp-host/files  healthy; connected, 2 in flight, last answer 1970-01-01T00:00:01.000Z, " +
        "asked 1970-01-01T00:00:02.000Z: 14 tools in 2.1 ms"
    )
    assert.strictEqual(
      shown({ breaker: "open", retryInMs: 4200, refused: 3, isConnected: false }).line,
      "  session mcp-host/files  failing (open, next call in 5 s, 3 so far); not connected, no call answered yet"
    )
  })

  it("shows the ways of several instances", () => {
    const instances = [
      { target: "near/files", rttMs: 2.04, isAway: false, isDistrusted: true },
      { target: "far/files", isAway: true, isDistrusted: false }
    ]
    assert.deepStrictEqual(
      MountText.lines({ pid: 7, serves: "127.0.0.1:7070", startedAtMs: 0, instances, sessions: [] }),
      [
        "mount pid 7 (127.0.0.1:7070) since 1970-01-01T00:00:00.000Z",
        "  instance near/files  2.0 ms, its server failed lately",
        "  instance far/files  away",
        "  no sessions"
      ]
    )
  })
})
