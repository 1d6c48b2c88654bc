import { assert, describe, it } from "@effect/vitest"
import * as NodeText from "../../src/cli/NodeText.ts"

describe("NodeText", () => {
  it("shows in `info` whose key was not believed, why and how often", () => {
    const refused_keys = [{ node_id: 9, reason: "KeyChanged", count: 3 }]

    assert.match(NodeText.info({ refused_keys }), /Refused key.*node 9: KeyChanged, 3 times/)
    assert.notMatch(NodeText.info({}), /Refused key/)
  })
})
