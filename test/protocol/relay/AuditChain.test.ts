import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as AuditChain from "../../../src/protocol/relay/AuditChain.ts"

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest()
const CALL: AuditChain.Call = {
  time: "2026-01-01T00:00:00.000Z",
  session: "s",
  epoch: 1,
  seq: 1,
  node: 2,
  service: "files",
  method: "tools/call",
  target: "t",
  id: "1",
  peer: undefined,
  definitionHash: undefined,
  approval: undefined,
  argumentsHash: undefined,
  traceparent: undefined,
  resultHash: undefined,
  bytesIn: 1,
  bytesOut: 1,
  durationMs: 1,
  outcome: "ok",
  code: undefined,
  decision: "allow",
  arguments: undefined
}
const chain = (count: number): Array<string> => {
  const lines: Array<string> = []
  let previous = AuditChain.ORIGIN
  for (let seq = 1; seq <= count; seq++) {
    const line = AuditChain.line({ ...CALL, seq }, previous, seq === 2 ? 7 : 0)
    previous = AuditChain.hash(sha256, line)
    lines.push(line)
  }
  return lines
}

const Index = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 }))

describe("AuditChain", () => {
  it("a record that nobody touched is whole, and tells how many calls it lacks", () => {
    const { brokenAt, lines, lost } = AuditChain.verify(sha256, chain(10))
    assert.deepStrictEqual({ brokenAt, lines, lost }, { brokenAt: undefined, lines: 10, lost: 7 })
    assert.isUndefined(AuditChain.verify(sha256, chain(10).slice(4)).brokenAt)
  })

  it.prop("a line that is changed, taken out, put in or moved breaks it (mcp §6.10)", { index: Index }, ({ index }) => {
    const whole = chain(10)
    const changed = whole.with(index, (whole[index] ?? "").replace('"bytesIn":1', '"bytesIn":2'))
    assert.strictEqual(AuditChain.verify(sha256, changed).brokenAt, index + 1)
    const shorter = whole.toSpliced(index, 1)
    assert.strictEqual(AuditChain.verify(sha256, shorter).brokenAt, index === 0 ? undefined : index)
    const longer = whole.toSpliced(index + 1, 0, whole[index] ?? "")
    assert.strictEqual(AuditChain.verify(sha256, longer).brokenAt, index + 1)
    assert.strictEqual(AuditChain.verify(sha256, whole.with(index, "{")).brokenAt, index)
  })
})
