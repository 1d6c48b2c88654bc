import { assert, describe, it } from "@effect/vitest"
import { NewReno } from "../../../src/protocol/stream/NewReno.ts"
import { acknowledgement, behavesAsWindowController } from "../../support/CongestionControllerSuite.ts"

behavesAsWindowController("NewReno", (sizes) => new NewReno(sizes))

describe("NewReno", () => {
  it("halves what was in flight, then grows one segment per window (RFC 5681 §3.1)", () => {
    const self = new NewReno({ segmentBytes: 1000, initialWindowBytes: 20_000, seed: 1 })
    self.congested(20_000)
    assert.strictEqual(self.congestionWindow, 10_000)

    for (let bytes = 0; bytes < 10_000; bytes += 1000) self.acknowledged(acknowledgement(self, 1000))
    assert.strictEqual(self.congestionWindow, 11_000)
  })
})
