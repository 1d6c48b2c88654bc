import { assert, describe, it } from "@effect/vitest"
import * as WhyReply from "../../src/actors/ipc/WhyReply.ts"
import * as Why from "../../src/api/Why.ts"
import * as WhyText from "../../src/cli/path/WhyText.ts"
import type * as Birthday from "../../src/nat/Birthday.ts"
import * as Address from "../../src/protocol/wire/Address.ts"

const nat = { report: undefined, lifetime: undefined }

/** The reply about a peer by relay with which that was tried. */
const reply = (birthday: Birthday.Report | undefined) => {
  const peer = { node: Address.NodeId(2), path: "relay", kind: "relay", encrypted: true, authenticated: true } as const
  const unknown = { endpoint: undefined, rttMs: undefined, publicKey: undefined }
  return WhyReply.make({ peer: { ...peer, ...unknown, birthday }, connections: [], nat })
}

const tried: Birthday.Report = {
  ...{ role: "guesser", outcome: "hit", detail: "", sockets: 256, probes: 402, startedAtMs: 0, tookMs: 4_190 }
}

describe("WhyText", () => {
  it("says what became of guessing ports", () => {
    const guessed = (birthday: Birthday.Report | undefined) =>
      WhyText.why(reply(birthday))
        .split("\n")
        .find((text) => text.startsWith("ports "))

    assert.strictEqual(
      guessed(tried),
      "ports were guessed: hit after 4.2 s, 402 probes from here, 256 sockets at the peer"
    )
    assert.include(guessed({ ...tried, role: "opener", outcome: "running" }), "are guessed: under way for 4.2 s")
    assert.include(guessed({ ...tried, role: "opener" }), "256 sockets here")
    assert.include(guessed({ ...tried, outcome: "declined", detail: "Busy" }), "declined (Busy) after")
    assert.isUndefined(guessed(undefined))
  })

  it("tells programs the same", () => {
    const { startedAtMs: _, ...told } = tried

    assert.deepStrictEqual(Why.ofReply(reply(tried)).birthday, told)
    assert.isUndefined(Why.ofReply(reply(undefined)).birthday)
  })
})
