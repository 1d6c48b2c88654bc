import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import {
  PREFIXES_MAX,
  ReplayWindow,
  ReplayWindows,
  WINDOW_COUNTERS
} from "../../../src/protocol/tunnel/ReplayWindow.ts"
import { element, integer, oneOf } from "../../support/Arbitraries.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }

const W = WINDOW_COUNTERS

/** Counters fed in order, each with the expected verdict; the last column says which edge it is. */
const EDGES: ReadonlyArray<ReadonlyArray<readonly [counter: number, accepted: boolean, edge: string]>> = [
  [
    [0, false, "zero is no counter, even at the start"],
    [1, true, "the first counter"],
    [1, false, "again"],
    [0, false, "zero after a frame"],
    [2, true, "the next"],
    [31, true, "last of the first block"],
    [32, true, "first of the second block"],
    [32, false, "again"],
    [31, false, "across the block edge"],
    [3, true, "late"]
  ],
  [
    [W, true, "a jump of the whole window"],
    [1, true, "the oldest that is still inside"],
    [W + 1, true, "one further"],
    [1, false, "now outside, though recorded"],
    [2, true, "the oldest now"],
    [2 * W, true, "one short of a whole window ahead"],
    [W + 1, false, "the oldest now, recorded"],
    [W, false, "outside"],
    [W + 2, true, "inside and new"]
  ],
  [
    [5, true, "before a far jump"],
    [5 + 100 * W, true, "every block is cleared"],
    [5 + 99 * W, false, "exactly a window behind"],
    [6 + 99 * W, true, "one inside"],
    [5 + 100 * W, false, "the newest again"]
  ],
  [
    [2 ** 32 - 1, true, "below 32 bits"],
    [2 ** 32, true, "over 32 bits"],
    [2 ** 32 + 31, true, "end of that block"],
    [2 ** 32 - 1, false, "again"],
    [2 ** 32 - 2, true, "late, on the other side"],
    [Number.MAX_SAFE_INTEGER, true, "the largest"],
    [Number.MAX_SAFE_INTEGER, false, "again"],
    [Number.MAX_SAFE_INTEGER - W, false, "outside"],
    [Number.MAX_SAFE_INTEGER - W + 1, true, "the oldest inside"]
  ]
]

describe("ReplayWindow", () => {
  it.for(EDGES)("judges the edges of the window (RFC 6479) %#", (steps) => {
    const window = new ReplayWindow()

    for (const [counter, accepted, edge] of steps)
      assert.strictEqual(window.accept(counter), accepted, `${counter}: ${edge}`)
  })

  it.prop(
    "answers as a set of all counters ever seen would",
    {
      steps: Arbitrary.array(oneOf(integer(-3, 3), integer(-W - 2, 40), element(W - 1, W, W + 1, 33 * 32)), {
        maxLength: 200
      })
    },
    ({ steps }) => {
      const window = new ReplayWindow()
      const seen = new Set<number>()
      let newest = 0
      for (const step of steps) {
        const counter = Math.max(0, newest + step)
        const expected = counter >= 1 && counter > newest - W && !seen.has(counter)
        assert.strictEqual(window.accept(counter), expected, `${counter} with ${newest} the newest`)
        seen.add(counter)
        newest = Math.max(newest, expected ? counter : 0)
      }
    },
    { arbitrary: { runs: 300 } }
  )

  it.prop("takes every late counter once after a jump over a full window", { jump: integer(1, W) }, ({ jump }) => {
    const window = new ReplayWindow()
    for (let counter = 1; counter <= 2 * W; counter++) window.accept(counter)

    assert.isTrue(window.accept(2 * W + jump))
    const late = Array.from({ length: jump - 1 }, (_, index) => 2 * W + 1 + index)
    assert.isTrue(late.every((counter) => window.accept(counter)))
    assert.isFalse(late.some((counter) => window.accept(counter)))
  })

  it("accepts all the reference does, besides counter zero, and late frames it does not (vectors replay_window)", () => {
    for (const { name, steps } of vectors.replay_window.sequences) {
      const window = new ReplayWindow()
      const seen = new Set<number>()
      for (const { counter, accepted, max_after } of steps) {
        // Differences by intent: zero is never a counter, and the window is 1024 wide instead of 256.
        const expected = counter > 0 && !seen.has(counter) && (accepted || max_after - counter < W)
        assert.strictEqual(window.accept(counter), expected, `${name}: ${counter}`)
        seen.add(counter)
      }
    }
  })
})

describe("ReplayWindows", () => {
  it("judges each nonce prefix on its own (wire §6.3)", () => {
    const windows = new ReplayWindows()

    assert.isTrue(windows.accept(7, 1000))
    assert.isTrue(windows.accept(8, 1), "a peer of the reference starts over with a new prefix")
    assert.isFalse(windows.accept(8, 1))
    assert.isFalse(windows.accept(7, 1000))
    assert.isTrue(windows.accept(7, 999))
  })

  it("keeps the newest prefix and four older, dropping the least recently used (wire §15.2)", () => {
    const windows = new ReplayWindows()
    for (let prefix = 0; prefix < PREFIXES_MAX; prefix++) windows.accept(prefix, 1)
    windows.accept(0, 2)
    windows.accept(100, 1)

    assert.isFalse(windows.accept(0, 2), "used last but one")
    assert.isFalse(windows.accept(2, 1))
    assert.isTrue(windows.accept(1, 1), "the one that was dropped")
  })

  it("remembers no prefix for a counter it refused", () => {
    const windows = new ReplayWindows()
    for (let prefix = 0; prefix < PREFIXES_MAX; prefix++) windows.accept(prefix, 1)
    for (let prefix = 100; prefix < 200; prefix++) assert.isFalse(windows.accept(prefix, 0))

    for (let prefix = 0; prefix < PREFIXES_MAX; prefix++) assert.isFalse(windows.accept(prefix, 1))
  })
})
