import { assert, describe, it } from "@effect/vitest"
import * as EarlyFrames from "../../../src/actors/node/EarlyFrames.ts"
import * as Path from "../../../src/nat/Path.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"

const frame = (fill: number, bytes = 60) => ({
  _tag: "Sealed" as const,
  sender: Address.NodeId(7),
  nonce: new Uint8Array(12),
  sealed: new Uint8Array(bytes).fill(fill)
})

describe("EarlyFrames", () => {
  it("gives what it kept once, in order, whatever becomes of the datagram", () => {
    const early = new EarlyFrames.EarlyFrames()
    const first = frame(1)
    early.keep({ frame: first, path: Path.relay })
    early.keep({ frame: frame(2), path: Path.relay })
    first.sealed.fill(9)

    assert.deepStrictEqual(
      early.take().map(({ frame }) => frame.sealed[0]),
      [1, 2]
    )
    assert.deepStrictEqual(early.take(), [])
  })

  it("keeps few and small ones, because anybody may send them", () => {
    const early = new EarlyFrames.EarlyFrames()
    early.keep({ frame: frame(0, EarlyFrames.SEALED_BYTES_MAX + 1), path: Path.relay })
    for (let count = 1; count <= 2 * EarlyFrames.FRAMES_MAX; count++)
      early.keep({ frame: frame(count), path: Path.relay })

    assert.deepStrictEqual(
      early.take().map(({ frame }) => frame.sealed[0]),
      [1, 2, 3, 4]
    )
  })
})
