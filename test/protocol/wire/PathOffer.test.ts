import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as PathOffer from "../../../src/protocol/wire/PathOffer.ts"
import * as Arb from "../../support/Arbitraries.ts"

describe("PathOffer (wire §17)", () => {
  it.prop("is read as it was written", { offer: Arb.pathOffer }, ({ offer }) => {
    assert.deepStrictEqual(PathOffer.decode(PathOffer.encode(offer)), Result.succeed(offer))
  })

  it("holds the places, byte by byte", () => {
    const endpoint = { host: "192.0.2.1", port: 4000 }
    const bytes = PathOffer.encode({ round: 2, heard: 1, places: [{ kind: "sequential", endpoint }] })

    assert.strictEqual(Buffer.from(bytes).toString("hex"), "4550430102010304c00002010fa0")
  })

  it("is no longer than its limit, whatever a peer says: the rest of an endless list is not read", () => {
    const endpoint = { host: "192.0.2.1", port: 4000 }
    const one = PathOffer.encode({ round: 1, heard: 0, places: [{ kind: "host", endpoint }] })
    const entries = Array.from({ length: 10_000 }, () => one.subarray(6))
    const read = Result.getOrThrow(PathOffer.decode(Buffer.concat([one, ...entries])))

    assert.strictEqual(read.places.length, PathOffer.PLACES_MAX)
  })

  it("skips kinds that are not known, and is refused where it ends in the middle", () => {
    const endpoint = { host: "192.0.2.1", port: 4000 }
    const bytes = PathOffer.encode({ round: 1, heard: 0, places: [{ kind: "host", endpoint }] })
    const unknown = Uint8Array.from(bytes)
    unknown[6] = 200

    assert.deepStrictEqual(Result.getOrThrow(PathOffer.decode(unknown)).places, [])
    for (let length = 7; length < bytes.length; length++)
      assert.isTrue(Result.isFailure(PathOffer.decode(bytes.subarray(0, length))), `${length} bytes`)
  })
})
