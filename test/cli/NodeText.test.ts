import { assert, describe, it } from "@effect/vitest"
import * as NodeText from "../../src/cli/daemon/NodeText.ts"

describe("NodeText", () => {
  it("shows in `info` whose key was not believed, why and how often", () => {
    const refused_keys = [{ node_id: 9, reason: "KeyChanged", count: 3 }]

    assert.match(NodeText.info({ refused_keys }), /Refused key.*node 9: KeyChanged, 3 times/)
    assert.notMatch(NodeText.info({}), /Refused key/)
  })

  it("shows in `info` a policy file that is not in force, and an audit log that is not written", () => {
    const shown = NodeText.info({
      policy_problem: { line: 4, column: 7, detail: "a comma is missing" },
      audit_failure: "ENOSPC: no space left on device"
    })

    assert.match(shown, /Policy: +the file is not in force: line 4, column 7: a comma is missing/)
    assert.match(shown, /Audit log: +not written: ENOSPC/)
    assert.notMatch(NodeText.info({}), /Policy|Audit/)
  })
})
