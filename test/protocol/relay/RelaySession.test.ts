import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { FrameSplitter } from "../../../src/protocol/relay/FrameSplitter.ts"
import { CHUNK_BYTES_MAX, type Limits } from "../../../src/protocol/relay/RelayControl.ts"
import { Frame } from "../../../src/protocol/relay/RelayFrame.ts"
import type { Message } from "../../../src/protocol/relay/RelayMessage.ts"
import { CONFIG_DEFAULT, RelaySession } from "../../../src/protocol/relay/RelaySession.ts"

const limits: Limits = { frame: CHUNK_BYTES_MAX, message: 4 * CHUNK_BYTES_MAX, window: CHUNK_BYTES_MAX }
const config = { ...CONFIG_DEFAULT, limits, unackedBytesMax: 3 * CHUNK_BYTES_MAX }

/** Two ends and the bytes between them, which a fault may fragment, keep back or cut off. */
class Pair {
  a = new RelaySession(config)
  b = new RelaySession(config)
  nowMs = 0
  readonly delivered: { readonly a: Array<string>; readonly b: Array<string> } = { a: [], b: [] }
  readonly wire: { a: Array<Uint8Array>; b: Array<Uint8Array> } = { a: [], b: [] }
  readonly splitter = { a: new FrameSplitter(), b: new FrameSplitter() }
  readonly held: { readonly a: Array<Message>; readonly b: Array<Message> } = { a: [], b: [] }
  maxUnhandedBytes = 0

  /** A new stream, as HELLO and WELCOME would set it up. */
  connect(): void {
    this.cut()
    const [aRx, bRx] = [this.a.rx, this.b.rx]
    assert.isTrue(Result.isSuccess(this.a.attach(bRx, limits, this.nowMs)))
    assert.isTrue(Result.isSuccess(this.b.attach(aRx, limits, this.nowMs)))
  }

  /** Everything on the way is lost. */
  cut(): void {
    this.a.detach()
    this.b.detach()
    this.wire.a = []
    this.wire.b = []
    this.splitter.a = new FrameSplitter()
    this.splitter.b = new FrameSplitter()
  }

  /** The process of one end dies; another goes on with what it wrote down, and what it had not handed over is gone. */
  restart(at: "a" | "b"): void {
    this.cut()
    const { outbox, rx } = this[at]
    const { lastOrdinal, ...position } = outbox.position
    const messages: Array<Uint8Array> = []
    for (let ordinal = position.ordinal + 1; ordinal <= lastOrdinal; ordinal++) {
      messages.push(outbox.messageAt(ordinal) ?? assert.fail(`message ${ordinal} is missing`))
    }
    this[at] = new RelaySession(config, { rx, outbox: { ...position, messages } })
    this.held[at].length = 0
  }

  /** At most `frames` frames leave one end, in pieces of `pieceBytes`. */
  transmit(from: "a" | "b", frames: number, pieceBytes: number): void {
    for (let count = 0; count < frames; count++) {
      const frame = this[from].nextFrame(this.nowMs)
      if (frame === undefined) return
      for (let at = 0; at < frame.length; at += pieceBytes) this.wire[from].push(frame.slice(at, at + pieceBytes))
    }
  }

  /** At most `pieces` pieces arrive at the other end. */
  arrive(from: "a" | "b", pieces: number): void {
    const to = from === "a" ? "b" : "a"
    for (const piece of this.wire[from].splice(0, pieces)) {
      const frames = this.splitter[to].push(piece)
      assert.isTrue(Result.isSuccess(frames))
      for (const frame of Result.getOrThrow(frames)) {
        const received = this[to].receive(frame, this.nowMs)
        assert.isTrue(Result.isSuccess(received), JSON.stringify(received))
      }
    }
    this.maxUnhandedBytes = Math.max(this.maxUnhandedBytes, sizeOf(this.held[to]))
  }

  /** The receiver takes what is there and hands over at most `count` messages. */
  consume(at: "a" | "b", count: number): void {
    for (let next = this[at].nextMessage(); next !== undefined; next = this[at].nextMessage()) this.held[at].push(next)
    this.maxUnhandedBytes = Math.max(this.maxUnhandedBytes, sizeOf(this.held[at]))
    for (const message of this.held[at].splice(0, count)) {
      this.delivered[at].push(new TextDecoder().decode(message.bytes.subarray(0, 8)).trim())
      this[at].handedOver(message, this.nowMs)
    }
  }

  advance(ms: number): void {
    this.nowMs += ms
    for (const end of [this.a, this.b]) {
      const deadlineMs = end.deadlineMs()
      if (deadlineMs !== undefined && deadlineMs <= this.nowMs) end.timeout(this.nowMs)
    }
  }

  /** Without further faults everything gets through. */
  settle(): void {
    this.connect()
    for (let round = 0; round < 400 && !(this.a.isDrained && this.b.isDrained); round++) {
      for (const end of ["a", "b"] as const) {
        this.transmit(end, 1000, 1 << 20)
        this.arrive(end, 1000)
        this.consume(end, 1000)
      }
      this.advance(20)
    }
  }
}

const sizeOf = (messages: ReadonlyArray<Message>): number =>
  messages.reduce((sum, message) => sum + message.bytes.length, 0)

const message = (index: number, sizeBytes: number): Uint8Array => {
  const bytes = new Uint8Array(Math.max(8, sizeBytes)).fill(0x20)
  bytes.set(new TextEncoder().encode(String(index)))
  return bytes
}

const End = Schema.Literals(["a", "b"])
const Few = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))
const Step = Schema.Union([
  Schema.Struct({
    step: Schema.Literal("send"),
    at: End,
    sizeBytes: Schema.Literals([8, 100, 65_535, 65_536, 65_537, 131_072, 262_144])
  }),
  Schema.Struct({ step: Schema.Literal("transmit"), at: End, frames: Few, pieceBytes: Schema.Literals([997, 70_000]) }),
  Schema.Struct({ step: Schema.Literal("arrive"), at: End, pieces: Schema.Literals([1, 3, 100]) }),
  Schema.Struct({ step: Schema.Literal("consume"), at: End, count: Few }),
  Schema.Struct({ step: Schema.Literal("advance"), ms: Schema.Literals([1, 20, 100]) }),
  // The steps that carry a message all the way, so that a cut often falls between its delivery and its acknowledgement.
  Schema.Struct({ step: Schema.Literal("carry"), at: End, count: Few }),
  Schema.Struct({ step: Schema.Literal("connect") }),
  Schema.Struct({ step: Schema.Literal("restart"), at: End })
])

const run = (pair: Pair, step: typeof Step.Type, sent: { readonly a: Array<string>; readonly b: Array<string> }) => {
  switch (step.step) {
    case "send":
      if (pair[step.at].canSend) {
        const to = step.at === "a" ? "b" : "a"
        pair[step.at].send(message(sent[to].length, step.sizeBytes))
        sent[to].push(String(sent[to].length))
      }
      return
    case "transmit":
      return pair.transmit(step.at, step.frames, step.pieceBytes)
    case "arrive":
      return pair.arrive(step.at, step.pieces)
    case "consume":
      return pair.consume(step.at, step.count)
    case "advance":
      return pair.advance(step.ms)
    case "carry":
      pair.transmit(step.at, 100, 1 << 20)
      pair.arrive(step.at, 100)
      return pair.consume(step.at === "a" ? "b" : "a", step.count)
    case "connect":
      return pair.connect()
    case "restart":
      pair.restart(step.at)
      return pair.connect()
  }
}

describe("RelaySession", () => {
  it.prop(
    "delivers each message exactly once and in order over streams that fragment and break, and processes that die (mcp §6.3)",
    { steps: Schema.Array(Step).check(Schema.isMinLength(20), Schema.isMaxLength(120)) },
    ({ steps }) => {
      const pair = new Pair()
      const sent = { a: [] as string[], b: [] as string[] }
      pair.connect()

      for (const step of steps) run(pair, step, sent)
      pair.settle()

      assert.deepStrictEqual(pair.delivered, sent)
      // A window of complete messages, the last of which may have begun within it.
      assert.isAtMost(pair.maxUnhandedBytes, limits.window + limits.message)
      assert.isTrue(pair.a.isDrained && pair.b.isDrained)
    },
    { arbitrary: { runs: 300, size: 120 } }
  )

  it("stops sending when the receiver hands nothing over, and goes on when it does (mcp §6.8)", () => {
    const pair = new Pair()
    pair.connect()
    for (let index = 0; index < 12; index++) pair.a.send(message(index, 16_384))

    pair.transmit("a", 100, 1 << 20)
    pair.arrive("a", 100)

    const held: Message[] = []
    for (let next = pair.b.nextMessage(); next !== undefined; next = pair.b.nextMessage()) held.push(next)
    assert.strictEqual(held.length, 4)
    for (const next of held) pair.b.handedOver(next, pair.nowMs)
    pair.advance(20)
    pair.transmit("b", 100, 1 << 20)
    pair.arrive("b", 100)
    pair.transmit("a", 100, 1 << 20)
    pair.arrive("a", 100)
    assert.notStrictEqual(pair.b.nextMessage(), undefined)
  })

  it("a message larger than the window gets through (mcp §6.8)", () => {
    const pair = new Pair()
    pair.connect()
    pair.a.send(message(0, limits.message))

    pair.settle()

    assert.deepStrictEqual(pair.delivered.b, ["0"])
  })

  it("the acknowledgement goes out after 20 ms, of little after 200 ms, and after 32 frames at once (mcp §6.2)", () => {
    const pair = new Pair()
    pair.connect()
    pair.transmit("b", 10, 1 << 20)
    pair.a.send(message(0, 8))
    pair.transmit("a", 10, 1 << 20)
    pair.arrive("a", 10)
    pair.consume("b", 1)

    assert.strictEqual(pair.b.nextFrame(pair.nowMs), undefined)
    assert.strictEqual(pair.b.deadlineMs(), 200)
    pair.a.send(message(1, limits.window / 4))
    pair.transmit("a", 10, 1 << 20)
    pair.arrive("a", 10)
    assert.strictEqual(pair.b.deadlineMs(), 20)
    pair.advance(20)
    assert.notStrictEqual(pair.b.nextFrame(pair.nowMs), undefined)

    for (let index = 0; index < 32; index++) pair.a.send(message(index, 8))
    pair.transmit("a", 100, 1 << 20)
    pair.arrive("a", 100)
    assert.notStrictEqual(pair.b.nextFrame(pair.nowMs), undefined)
  })

  it("three unanswered pings mean a dead stream; any frame means a living one (mcp §6.2)", () => {
    const pair = new Pair()
    pair.connect()
    for (let count = 0; count < 3; count++) pair.advance(10_000)
    assert.isFalse(pair.a.isSilent)

    assert.isTrue(Result.isSuccess(pair.a.receive(Frame.Pong({ opaque: new Uint8Array(8) }), pair.nowMs)))
    for (let count = 0; count < 3; count++) pair.advance(10_000)
    assert.isFalse(pair.a.isSilent)
    pair.advance(10_000)
    assert.isTrue(pair.a.isSilent)
  })

  it("a path is probed more often while somebody waits, and not at all while it is heard", () => {
    const pair = new Pair()
    pair.connect()
    pair.transmit("a", 10, 1 << 20)
    assert.strictEqual(pair.a.deadlineMs(), 10_000)
    pair.a.isWaiting = true
    assert.strictEqual(pair.a.deadlineMs(), 3000)
    pair.nowMs = 2500
    pair.a.receive(Frame.Pong({ opaque: new Uint8Array(8) }), pair.nowMs)
    assert.strictEqual(pair.a.deadlineMs(), 5500)
  })

  it("a ping is answered with its bytes (mcp §6.2)", () => {
    const pair = new Pair()
    pair.connect()
    const opaque = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
    pair.a.receive(Frame.Ping({ opaque }), 0)

    const frame = Result.getOrThrow(new FrameSplitter().push(pair.a.nextFrame(0) ?? new Uint8Array()))

    assert.deepStrictEqual(frame, [Frame.Pong({ opaque })])
  })

  const data = (seq: number, sizeBytes: number, last = true) =>
    Frame.Data({ seq, last, rel: undefined, payload: new Uint8Array(sizeBytes) })
  const refused = (...frames: ReadonlyArray<Frame>): string | undefined => {
    const end = new RelaySession(config)
    end.attach(0, limits, 0)
    for (const frame of frames) {
      const received = end.receive(frame, 0)
      if (Result.isFailure(received)) return received.failure.reason
    }
    return undefined
  }

  it("a peer that breaks the rules loses the stream (mcp §6.2)", () => {
    assert.strictEqual(refused(data(1, 8), data(3, 8)), "Gap")
    assert.strictEqual(refused(data(1, 0, false)), "EmptyChunk")
    assert.strictEqual(refused(data(1, CHUNK_BYTES_MAX + 1)), "ChunkTooLarge")
    assert.strictEqual(refused(data(1, CHUNK_BYTES_MAX), data(2, 1)), "CreditExceeded")
    assert.strictEqual(refused(Frame.Ack({ rx: 1, credit: 0 })), "AckBeyondSent")
    assert.strictEqual(refused(...Array.from({ length: 2049 }, (_, index) => data(index + 1, 1))), "TooManyMessages")
    assert.strictEqual(refused(data(1, 8), data(1, 8), data(2, 8)), undefined)
  })

  it("a message over the limit is refused before it is held whole (mcp §6.8)", () => {
    const end = new RelaySession({ ...config, limits: { ...limits, message: CHUNK_BYTES_MAX } })
    end.attach(0, limits, 0)
    end.receive(data(1, CHUNK_BYTES_MAX, false), 0)
    end.nextFrame(0)

    const received = end.receive(data(2, 1), 0)

    assert.deepStrictEqual(Result.isFailure(received) && received.failure.reason, "MessageTooLarge")
  })

  it("knows which messages the other side may have and which it has (mcp §6.3)", () => {
    const pair = new Pair()
    pair.connect()
    const [first, second] = [pair.a.send(message(0, 8)), pair.a.send(message(1, 131_072))]
    pair.transmit("a", 2, 1 << 20)
    assert.deepStrictEqual([pair.a.wasSent(first), pair.a.wasSent(second)], [true, false])
    assert.isFalse(pair.a.wasHandedOver(first))

    pair.settle()

    assert.isTrue(pair.a.wasHandedOver(first) && pair.a.wasHandedOver(second))
  })

  it("does not resume from a state it has forgotten or never had (mcp §6.2)", () => {
    const pair = new Pair()
    pair.connect()
    pair.a.send(message(0, 8))
    pair.settle()

    assert.isFalse(pair.a.canResumeFrom(0))
    assert.isTrue(pair.a.canResumeFrom(1))
    assert.isFalse(pair.a.canResumeFrom(2))
  })
})
