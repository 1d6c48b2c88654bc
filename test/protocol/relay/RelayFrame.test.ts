import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { FrameSplitter } from "../../../src/protocol/relay/FrameSplitter.ts"
import { encode, Frame, LENGTH_MAX } from "../../../src/protocol/relay/RelayFrame.ts"

const Seq = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }))
const Count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
const Credit = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff }))
const PayloadBytes = Schema.Literals([0, 1, 3, 700, 65_535, 65_536])
const Rel = Schema.UndefinedOr(Schema.Literals(["7", '"listen:0"', "9007199254740993"]))

const split = (bytes: Uint8Array, pieceBytes: number): ReadonlyArray<Frame> => {
  const splitter = new FrameSplitter()
  const frames: Array<Frame> = []
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    frames.push(...Result.getOrThrow(splitter.push(bytes.slice(at, at + pieceBytes))))
  }
  return frames
}

const hello = {
  v: 1,
  session: "4f0c5a2e9b7d4c1f8a63e0d5b2917c44",
  resumeKey: "A".repeat(43),
  rx: 0,
  service: "files",
  limits: { frame: 65_536, message: 16_777_216, window: 4_194_304 }
}

describe("RelayFrame", () => {
  it.prop(
    "DATA and ACK come back as they were, in whatever pieces they arrive (mcp §6.2)",
    {
      seq: Seq,
      rx: Count,
      credit: Credit,
      sizeBytes: PayloadBytes,
      rel: Rel,
      pieceBytes: Schema.Literals([1, 4, 5, 1000, 70_000])
    },
    ({ credit, pieceBytes, rel, rx, seq, sizeBytes }) => {
      const payload = Uint8Array.from({ length: sizeBytes }, (_, index) => index)
      const frames = [
        Frame.Data({ seq, last: sizeBytes % 2 === 0, rel, payload }),
        Frame.Ack({ rx: Math.abs(rx), credit: Math.abs(credit) }),
        Frame.Ping({ opaque: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) })
      ]

      assert.deepStrictEqual(split(Bytes.concat(...frames.map(encode)), pieceBytes), frames)
    }
  )

  it("the bytes lie as drawn (mcp §6.2)", () => {
    const data = Frame.Data({ seq: 2 ** 32 + 5, last: true, rel: "7", payload: Uint8Array.of(0x7b, 0x7d) })

    assert.strictEqual(Bytes.toHex(encode(data)), "0000000f" + "03" + "0000000100000005" + "03" + "000137" + "7b7d")
    assert.strictEqual(
      Bytes.toHex(encode(Frame.Ack({ rx: 1, credit: 4_194_304 }))),
      "0000000d" + "04" + "0000000000000001" + "00400000"
    )
    assert.strictEqual(
      Bytes.toUtf8(encode(Frame.Bye({ bye: { reason: "closed" } })).subarray(4)),
      '\u0007{"reason":"closed"}'
    )
  })

  it("control frames come back, with members of a newer version ignored (mcp §6.2)", () => {
    const frames = [
      Frame.Hello({ hello }),
      Frame.Welcome({ welcome: { v: 1, resumed: false, rx: 0, epoch: 1, lingerMs: 300_000 } }),
      Frame.Status({ status: { ref: 7, state: "reconnecting" } })
    ]
    const newer = Bytes.fromUtf8('{"reason":"denied","retryAfterMs":5}')
    const header = Uint8Array.of(0, 0, 0, newer.length + 1, 7)

    assert.deepStrictEqual(split(Bytes.concat(...frames.map(encode)), 3), frames)
    assert.deepStrictEqual(split(Bytes.concat(header, newer), 100), [Frame.Bye({ bye: { reason: "denied" } })])
  })

  it("a length over the bound, or none, ends the stream before anything is buffered (mcp §6.2)", () => {
    for (const length of [0, LENGTH_MAX + 1, 0x7b22_6a73, 0xffff_ffff]) {
      const header = new Uint8Array(5)
      new DataView(header.buffer).setUint32(0, length)
      const pushed = new FrameSplitter().push(header)
      assert.isTrue(Result.isFailure(pushed) && pushed.failure.reason === "Length")
    }
  })

  it.prop(
    "no bytes make it throw or deliver more than they hold (mcp §8, rule 11)",
    { bytes: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))) },
    ({ bytes }) => {
      const random = Uint8Array.from(bytes)
      // Random lengths are nearly always refused, so every type is also tried with a right one.
      new FrameSplitter().push(random)
      for (let type = 0; type < 10; type++) {
        const header = Uint8Array.of(0, 0, (random.length + 1) >> 8, (random.length + 1) & 255, type)
        const pushed = new FrameSplitter().push(Bytes.concat(header, random))
        if (Result.isSuccess(pushed)) assert.isAtMost(pushed.success.length, 1)
      }
    }
  )

  it("a HELLO with a wrong session, key or service is refused", () => {
    for (const wrong of [{ session: "x" }, { resumeKey: "short" }, { service: "../etc" }, { rx: -1 }, { v: "1" }]) {
      const body = Bytes.fromUtf8(JSON.stringify({ ...hello, ...wrong }))
      const pushed = new FrameSplitter().push(Bytes.concat(Uint8Array.of(0, 0, 0, body.length + 1, 1), body))
      assert.isTrue(Result.isFailure(pushed) && pushed.failure.reason === "Json", JSON.stringify(wrong))
    }
  })
})
