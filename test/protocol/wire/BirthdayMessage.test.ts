import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Address from "../../../src/protocol/wire/Address.ts"
import { BirthdayMessage, decode, encode } from "../../../src/protocol/wire/BirthdayMessage.ts"
import * as ControlMessage from "../../../src/protocol/wire/ControlMessage.ts"
import * as Arb from "../../support/Arbitraries.ts"

const place = { host: "192.0.2.1", port: 4000 }
const hex = (message: BirthdayMessage) => Buffer.from(encode(message)).toString("hex")

describe("BirthdayMessage (wire §17)", () => {
  it.prop("is read as it was written, and as no other control message", { message: Arb.birthdayMessage }, (given) => {
    assert.deepStrictEqual(decode(encode(given.message)), Result.succeed(given.message))
    const packet = ControlMessage.birthday(Address.make(0, 1), Address.make(0, 2), given.message)
    assert.deepStrictEqual(ControlMessage.classify(packet), { _tag: "BirthdayTold", message: given.message })
  })

  it("holds a round, a number and a place, byte by byte", () => {
    assert.strictEqual(hex(BirthdayMessage.Asked({ round: 7, place })), "455042010107000004c00002010fa0")
    assert.strictEqual(hex(BirthdayMessage.Agreed({ round: 7, place })), "455042010207000004c00002010fa0")
    assert.strictEqual(hex(BirthdayMessage.Declined({ round: 7, reason: "Limited" })), "455042010307000400")
    assert.strictEqual(hex(BirthdayMessage.Opened({ round: 7, sockets: 256 })), "455042010407010000")
    assert.strictEqual(hex(BirthdayMessage.Ended({ round: 7, probes: 70_000 })), "455042010507ffff00")
  })

  it("is refused where it ends in the middle, and where its kind is not known", () => {
    const bytes = encode(BirthdayMessage.Asked({ round: 1, place }))
    for (let length = 0; length < bytes.length; length++)
      assert.isTrue(Result.isFailure(decode(bytes.subarray(0, length))), `${length} bytes`)
    for (const kind of [0, 6, 255]) assert.isTrue(Result.isFailure(decode(Uint8Array.from(bytes).fill(kind, 4, 5))))
  })

  it("takes a reason that it does not know for one all the same", () => {
    const bytes = encode(BirthdayMessage.Declined({ round: 1, reason: "Busy" })).fill(200, 7, 8)

    assert.deepStrictEqual(decode(bytes), Result.succeed(BirthdayMessage.Declined({ round: 1, reason: "NotNow" })))
  })

  it.prop("no bytes make it throw", { bytes: Arb.bytes(40) }, ({ bytes }) => {
    decode(bytes)
  })
})
