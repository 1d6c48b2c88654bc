/**
 * A connection of ours that publishes. Its events are stored as they come, many at once, and each is answered with its
 * sequence number when it is on disk. Beyond its rate nothing is dropped: the connection is not read for a while.
 */
import { type Cause, Clock, Effect } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { Signal } from "../../core/actor/Signal.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import { TokenBucket } from "../../core/data/TokenBucket.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as EventExtension from "../../protocol/wire/EventExtension.ts"
import * as EventFrame from "../../protocol/wire/EventFrame.ts"
import type { Connection, ConnectionReset } from "../node/Node.ts"
import type { BrokerContext, Outcome } from "./BrokerContext.ts"
import * as BrokerPolicy from "./BrokerPolicy.ts"
import type { BadFrame, FrameReader } from "./FrameReader.ts"

/** The connection. */
export interface Publishing {
  readonly context: BrokerContext
  readonly connection: Connection
  readonly origin: number
  readonly isSelf: boolean
  readonly reader: FrameReader<ConnectionReset>
}

/** Goes on until the client has sent its end, and everything is answered. */
export const serve = Effect.fnUntraced(function* (
  self: Publishing
): Effect.fn.Return<void, ConnectionReset | BadFrame | Cause.Done> {
  const answers = new Answers(self.connection)
  const taking = Effect.catchTag(Effect.forever(yield* takeNext(self, answers)), "Done", () => answers.allWritten)
  yield* Effect.raceFirst(taking, answers.writing)
  yield* self.connection.close
})

const takeNext = Effect.fnUntraced(function* (self: Publishing, answers: Answers) {
  const { connection, context, isSelf, origin, reader } = self
  const clock = yield* Clock.Clock
  const rate = new TokenBucket(context.limits.rate, MonotonicTime.nowMsUnsafe(clock))
  const from = Address.formatSocket({ address: connection.remote, port: connection.remotePort })
  const inRate = Effect.suspend(() => {
    const nowMs = MonotonicTime.nowMsUnsafe(clock)
    if (isSelf || rate.take(nowMs)) return Effect.void
    context.counters.rateLimited++
    return Effect.andThen(
      Effect.sleep(Math.ceil(rate.readyAtMs(nowMs) - nowMs)),
      Effect.sync(() => void rate.take(MonotonicTime.nowMsUnsafe(clock)))
    )
  })
  return Effect.gen(function* () {
    const { payload, topic: topicBytes } = yield* reader.next
    const settle = answers.expect(payload.length)
    const topic = Bytes.toUtf8(topicBytes)
    if (topic === undefined) {
      context.counters.malformed++
      settle({ _tag: "NotStored", detail: "the topic is no text" })
    } else {
      yield* inRate
      const refusal = BrokerPolicy.refusal(self, topic, payload.length)
      const publisher = connection.remote.node
      if (refusal !== undefined) settle({ _tag: "NotStored", detail: refusal })
      else yield* context.publish({ topic, topicBytes, payload, publisher, origin, from, settle })
    }
    yield* answers.hasRoom
  })
})

/** What is to be told, in the order of the publications, because that is the order in which they are stored. */
class Answers {
  readonly #connection: Connection
  readonly #changed = new Signal()
  readonly #settled = new Signal()
  #frames: Array<Uint8Array> = []
  #ordinal = 0
  #open = 0
  #openBytes = 0
  #isWriting = false

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** The next publication, to be settled once. */
  expect(sizeBytes: number): (outcome: Outcome) => void {
    const ordinal = ++this.#ordinal
    this.#open++
    this.#openBytes += sizeBytes
    return (outcome) => {
      this.#open--
      this.#openBytes -= sizeBytes
      const message: EventExtension.Message =
        outcome._tag === "Stored"
          ? { _tag: "Stored", ordinal, sequence: outcome.sequence }
          : { _tag: "Refused", ordinal, reason: outcome.detail }
      this.#frames.push(EventFrame.encode(Bytes.empty, EventExtension.encode(message)))
      this.#changed.raise()
      this.#settled.raise()
    }
  }

  /** Waits while too many are on their way into the log, or their answers are not read. */
  get hasRoom(): Effect.Effect<void> {
    const isThere = () => this.#open + this.#frames.length < OPEN_MAX && this.#openBytes < OPEN_BYTES_MAX
    return Effect.suspend(() =>
      isThere() ? Effect.void : Effect.andThen(this.#settled.waitUnless(isThere), this.hasRoom)
    )
  }

  /** Writes what was settled, many answers at once. */
  get writing(): Effect.Effect<never, ConnectionReset> {
    const written = Effect.sync(() => {
      this.#isWriting = false
      this.#settled.raise()
    })
    const next = Effect.suspend(() => {
      if (this.#frames.length === 0) return this.#changed.waitUnless(() => this.#frames.length > 0)
      const frames = this.#frames
      this.#frames = []
      this.#isWriting = true
      return Effect.andThen(this.#connection.write(Bytes.concat(...frames)), written)
    })
    return Effect.forever(next)
  }

  /** Waits until everything that came is settled and told. */
  get allWritten(): Effect.Effect<void> {
    const isDone = () => this.#open === 0 && this.#frames.length === 0 && !this.#isWriting
    return Effect.suspend(() =>
      isDone() ? Effect.void : Effect.andThen(this.#settled.waitUnless(isDone), this.allWritten)
    )
  }
}

/** Publications of one connection on their way into the log, and answers on their way back. */
const OPEN_MAX = 256
const OPEN_BYTES_MAX = 1 << 20
