import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { SackScoreboard } from "../../../src/protocol/stream/SackScoreboard.ts"
import * as Arb from "../../support/Arbitraries.ts"

const SIZE = 10
const runs = { arbitrary: { runs: 1000 } }

type Step =
  | { readonly _tag: "Send"; readonly count: number }
  | { readonly _tag: "Ack"; readonly to: number }
  | { readonly _tag: "Sack"; readonly left: number; readonly length: number }
  | { readonly _tag: "Lose"; readonly index: number }
  | { readonly _tag: "Cut"; readonly index: number; readonly bytes: number }
  | { readonly _tag: "Join"; readonly index: number; readonly bytes: number }
  | { readonly _tag: "LoseAll" | "Restore" | "Resend" }

const steps = Arbitrary.array(
  Arb.oneOf<Step>(
    Arbitrary.map(Arb.integer(1, 9), (count): Step => ({ _tag: "Send", count })),
    Arbitrary.map(Arb.element(0, 5, 10, 20, 35, 100), (to): Step => ({ _tag: "Ack", to })),
    Arbitrary.map(
      // Few left edges: a real SACK repeats its blocks, longer each time.
      Arbitrary.all({ left: Arb.element(0, 20, 30, 60, 65, 120), length: Arb.integer(0, 120) }),
      (range): Step => ({ _tag: "Sack", ...range })
    ),
    Arbitrary.map(Arb.integer(0, 30), (index): Step => ({ _tag: "Lose", index })),
    Arbitrary.map(
      Arbitrary.all({ index: Arb.integer(0, 30), bytes: Arb.integer(1, 9) }),
      (at): Step => ({ _tag: "Cut", ...at })
    ),
    Arbitrary.map(
      Arbitrary.all({ index: Arb.integer(0, 5), bytes: Arb.element(15, 30, 1000) }),
      (at): Step => ({ _tag: "Join", ...at })
    ),
    Arb.element<Step>({ _tag: "LoseAll" }, { _tag: "Restore" }, { _tag: "Resend" })
  ),
  { maxLength: 120 }
)

/** Positions of acknowledgements are relative to the lowest segment. The naive model: an array of segments, scanned whole each time. */
interface Model {
  start: number
  length: number
  fate: "InTransit" | "Lost" | "Sacked"
  transmissions: number
}

const apply = (
  board: SackScoreboard,
  model: Array<Model>,
  step: Step,
  sent: { count: number },
  nowMs: number
): void => {
  const lowest = board.first?.start ?? 0
  switch (step._tag) {
    case "Send":
      for (let count = 0; count < step.count; count++) {
        board.sent(sent.count * SIZE, new Uint8Array(SIZE), nowMs)
        model.push({ start: sent.count * SIZE, length: SIZE, fate: "InTransit", transmissions: 1 })
        sent.count += 1
      }
      return
    case "Ack": {
      const to = lowest + step.to
      board.acknowledge(to)
      while (model[0] !== undefined && model[0].start + model[0].length <= to) model.shift()
      return
    }
    case "Sack": {
      const left = lowest + step.left
      const right = left + step.length
      board.sack(left, right)
      for (const segment of model) {
        if (segment.start >= left && segment.start + segment.length <= right) segment.fate = "Sacked"
      }
      return
    }
    case "Lose": {
      let segment = board.oldestInTransit
      for (let index = 0; index < step.index && segment !== undefined; index++) segment = segment.next
      if (segment === undefined) return
      board.lose(segment)
      for (const other of model) if (other.start === segment.start) other.fate = "Lost"
      return
    }
    case "Cut": {
      let segment = step.index % 2 === 0 ? board.oldestInTransit : board.firstLost
      for (let index = 0; index < step.index && segment?.next !== undefined; index++) segment = segment.next
      if (segment === undefined || segment.payload.length <= step.bytes) return
      const { start } = segment
      const rest = board.cut(segment, step.bytes)
      assert.deepStrictEqual([segment.end, rest.start, segment.next], [start + step.bytes, start + step.bytes, rest])
      const index = model.findIndex((other) => other.start === start)
      const whole = model[index]
      if (whole === undefined) return
      const after = { ...whole, start: start + step.bytes, length: whole.length - step.bytes }
      model.splice(index, 1, { ...whole, length: step.bytes }, after)
      return
    }
    case "Join": {
      let segment = board.firstLost
      for (let index = 0; index < step.index && segment?.next !== undefined; index++) segment = segment.next
      if (segment === undefined) return
      const { start } = segment
      board.join(segment, step.bytes)
      const index = model.findIndex((other) => other.start === start)
      const first = model[index]
      if (first === undefined) return
      let next = model[index + 1]
      while (next?.fate === "Lost" && first.length + next.length <= step.bytes) {
        first.length += next.length
        first.transmissions = Math.max(first.transmissions, next.transmissions)
        model.splice(index + 1, 1)
        next = model[index + 1]
      }
      assert.strictEqual(segment.end, start + first.length)
      return
    }
    case "LoseAll":
      board.loseAll()
      for (const segment of model) if (segment.fate === "InTransit") segment.fate = "Lost"
      return
    case "Restore":
      board.restore()
      for (const segment of model) {
        if (segment.fate === "Lost" && segment.transmissions === 1) segment.fate = "InTransit"
      }
      return
    case "Resend": {
      const lost = board.firstLost
      if (lost === undefined) return
      board.resent(lost, nowMs)
      for (const segment of model) {
        if (segment.start !== lost.start) continue
        segment.fate = "InTransit"
        segment.transmissions += 1
      }
    }
  }
}

const count = (model: ReadonlyArray<Model>, fate: Model["fate"]) =>
  model.filter((segment) => segment.fate === fate).length

const bytesOf = (model: ReadonlyArray<Model>) => model.reduce((sum, { length }) => sum + length, 0)

describe("SackScoreboard", () => {
  it.prop(
    "agrees with a model that scans everything",
    { steps },
    ({ steps }) => {
      const board = new SackScoreboard()
      const model: Array<Model> = []
      const sent = { count: 0 }
      steps.forEach((step, index) => {
        apply(board, model, step, sent, index)

        assert.strictEqual(board.segments, model.length)
        assert.strictEqual(board.bytes, bytesOf(model))
        assert.strictEqual(board.bytesInFlight, bytesOf(model.filter(({ fate }) => fate === "InTransit")))
        assert.strictEqual(board.inTransitSegments, count(model, "InTransit"))
        assert.strictEqual(board.lostSegments, count(model, "Lost"))
        assert.strictEqual(board.sackedSegments, count(model, "Sacked"))
        assert.strictEqual(board.firstLost?.start, model.find((segment) => segment.fate === "Lost")?.start)
        assert.strictEqual(board.highestMissing?.start, model.findLast((segment) => segment.fate !== "Sacked")?.start)
      })
    },
    runs
  )

  it.prop(
    "lists what is in transit by its last transmission (RFC 8985 §6.1)",
    { steps },
    ({ steps }) => {
      const board = new SackScoreboard()
      const sent = { count: 0 }
      steps.forEach((step, index) => {
        apply(board, [], step, sent, index)

        let previous = Number.NEGATIVE_INFINITY
        for (let segment = board.oldestInTransit; segment !== undefined; segment = segment.next) {
          assert.isAtLeast(segment.sentAtMs, previous)
          previous = segment.sentAtMs
        }
      })
    },
    runs
  )

  it.prop(
    "counts each byte as delivered once",
    { steps },
    ({ steps }) => {
      const board = new SackScoreboard()
      const model: Array<Model> = []
      const sent = { count: 0 }
      let delivered = 0
      steps.forEach((step, index) => {
        board.delivery.clear()
        apply(board, model, step, sent, index)
        delivered += board.delivery.bytes
      })

      assert.strictEqual(delivered, sent.count * SIZE - bytesOf(model.filter(({ fate }) => fate !== "Sacked")))
    },
    runs
  )

  it("keeps selective marks across a cumulative advance (RFC 2018 §5)", () => {
    const board = new SackScoreboard()
    for (let index = 0; index < 4; index++) board.sent(index * SIZE, new Uint8Array(SIZE), 0)
    board.sack(3 * SIZE, 4 * SIZE)

    board.acknowledge(SIZE)

    assert.strictEqual(board.sackedSegments, 1)
    assert.strictEqual(board.bytesInFlight, 2 * SIZE)
  })

  it("marks only segments that lie wholly inside a block (wire §10.4)", () => {
    const board = new SackScoreboard()
    for (let index = 0; index < 4; index++) board.sent(index * SIZE, new Uint8Array(SIZE), 0)

    board.sack(SIZE + 1, 3 * SIZE + 5)

    assert.strictEqual(board.sackedSegments, 1)
  })
})
