import { assert, describe, it } from "@effect/vitest"
import * as DialErrorText from "../../src/actors/ipc/DialErrorText.ts"
import { IpcError } from "../../src/actors/ipc/IpcError.ts"
import * as Target from "../../src/actors/mcp/Target.ts"
import { DialError } from "../../src/actors/node/Node.ts"
import * as McpConnect from "../../src/cli/mcp/McpConnect.ts"

const target = { peer: "mcp-host", service: "files" }
const failure = (reason: DialError["reason"]) =>
  McpConnect.dialFailure(
    target,
    "agent",
    new IpcError({
      reason: "Daemon",
      operation: "dial",
      detail: DialErrorText.format(new DialError({ reason, target: "mcp-host", detail: "d" }), 1)
    })
  )

describe("McpConnect", () => {
  it("PEER/NAME is a peer by name or address and a service", () => {
    assert.deepStrictEqual(Target.parse("mcp-host/files"), target)
    assert.deepStrictEqual(Target.parse("0:0000.0000.0001/files"), { peer: "0:0000.0000.0001", service: "files" })
    for (const wrong of ["files", "/files", "mcp-host/", "a/b/c", ""]) assert.isUndefined(Target.parse(wrong))
  })

  it("missing trust is said as such, with the command that helps and where to run it", () => {
    const { detail, isFinal, kind } = failure("Untrusted")

    assert.deepStrictEqual([kind, isFinal], ["denied", true])
    assert.strictEqual(detail, "mcp-host does not trust this node: run there: pilotctl trust add agent")
  })

  it("silence names both its causes, since a stranger gets no answer (security rule 3)", () => {
    for (const reason of ["Timeout", "NoPath"] as const) {
      const { detail, isFinal, kind } = failure(reason)
      assert.deepStrictEqual([kind, isFinal], ["unreachable", false])
      assert.include(detail, "daemon is not running")
      assert.include(detail, "pilotctl trust add agent")
    }
  })

  it("a changed key is final: only a person may accept it (security rule 1)", () => {
    assert.deepInclude(failure("KeyChanged"), { kind: "denied", isFinal: true })
  })

  it("a lost daemon is worth waiting for", () => {
    const lost = new IpcError({ reason: "Disconnected", operation: "dial", detail: "" })

    assert.deepInclude(McpConnect.dialFailure(target, "agent", lost), { kind: "unreachable", isFinal: false })
  })
})
