/**
 * A client that speaks plain newline-separated JSON-RPC on a service's own port (mcp §6.2): one stream, one child, and
 * nothing to resume.
 */
import { Effect, type Scope } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import { type Line, LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import * as ShimRefusal from "../mount/ShimRefusal.ts"
import * as Upstream from "../server/Upstream.ts"
import type * as KeeperSession from "./KeeperSession.ts"

/** What such a client is served with; `head` are bytes already read. */
export interface Options<E> extends Omit<KeeperSession.Options, "epoch" | "hello"> {
  readonly duplex: Duplex<E>
  readonly head: Uint8Array
}

/** A session of one stream. */
export interface LineSession {
  readonly upstream: Upstream.Upstream
  /** Serves the stream to its end; what is still being worked on then may finish for a while. Its failures end it. */
  readonly run: Effect.Effect<void>
}

/** A session without a child yet. */
export const make = Effect.fnUntraced(function* <E>(
  options: Options<E>
): Effect.fn.Return<LineSession, never, Scope.Scope> {
  const { duplex } = options
  const toClient = (message: Uint8Array) => Effect.ignore(duplex.write(Bytes.concat(message, NEWLINE)))
  const tooLarge = ShimRefusal.tooLarge({ peer: options.self, service: options.service }, false)
  const upstream = yield* Upstream.make({
    service: options.service,
    self: options.self,
    spawn: options.spawn,
    gate: options.gate,
    discovery: options.discovery,
    breaker: options.breaker,
    parking: options.parking,
    approve: options.approve,
    // The stream is there until the session abandons it, and what is written is all that is known.
    client: { isAttached: () => true, hasTaken: () => true },
    clientBytesMax: MESSAGE_BYTES_MAX,
    // A client that reads no more is noticed by the reading side.
    toClient: (message) => Effect.as(toClient(message), 0)
  })
  const lines = new LineSplitter(MESSAGE_BYTES_MAX)
  let count = 0
  const passLine = (line: Line) =>
    line._tag === "Whole"
      ? upstream.fromClient(line.bytes, ++count)
      : Effect.andThen(
          Effect.logWarning(`mcp ${options.service}: dropped a line of ${line.sizeBytes} bytes`),
          Effect.forEach(ShimRefusal.refusals(line.envelope, tooLarge), toClient, { discard: true })
        )
  const passOn = (chunk: Uint8Array) => Effect.forEach(lines.push(chunk), passLine, { discard: true })
  const next = Effect.matchEffect(duplex.read, {
    onSuccess: passOn,
    onFailure: (end) => {
      const last = lines.finish()
      return Effect.andThen(last === undefined ? Effect.void : passLine(last), Effect.fail(end))
    }
  })
  const run = passOn(options.head).pipe(
    Effect.andThen(Effect.forever(next)),
    Effect.raceFirst(upstream.changed),
    Effect.ensuring(Effect.timeoutOption(answered(upstream), FINISH_TIMEOUT)),
    Effect.exit,
    Effect.andThen(Effect.timeoutOption(upstream.abandon, CANCEL_TIMEOUT)),
    Effect.andThen(upstream.parked)
  )
  return { upstream, run }
})

const answered = (upstream: Upstream.Upstream): Effect.Effect<void> =>
  Effect.suspend(() =>
    upstream.inFlight() === 0 ? Effect.void : Effect.andThen(Effect.sleep("50 millis"), answered(upstream))
  )

const NEWLINE = Uint8Array.of(0x0a)
const CANCEL_TIMEOUT = "1 second"
const FINISH_TIMEOUT = "10 seconds"
