import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { FREE, type Guard, OPEN } from "../../../src/actors/policy/PolicyGuard.ts"
import * as ExchangePolicy from "../../../src/actors/services/ExchangePolicy.ts"
import { NotTaken } from "../../../src/actors/services/IncomingFile.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"

describe("ExchangePolicy", () => {
  it.effect("a file for which there is no room does not count as one under way", () =>
    Effect.gen(function* () {
      let open = 0
      const guard: Guard = {
        ...OPEN,
        ask: () => {
          open++
          let isOpen = true
          const release = () => {
            if (isOpen) open--
            isOpen = false
          }
          return { ...FREE, isBounded: true, release }
        }
      }
      const { place } = ExchangePolicy.pushing(guard, Address.NodeId(2), {
        open: () => new NotTaken({ reason: "Full", detail: "full" }),
        commit: () => Effect.succeed(""),
        left: () => Effect.void
      })
      const file = { sizeBytes: 1, digest: new Uint8Array(32), chunkBytes: 1, name: "a" }
      yield* Effect.flip(place.open(file, Effect.void))

      assert.strictEqual(open, 0)
    })
  )
})
