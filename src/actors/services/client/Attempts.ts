/**
 * Tries a transfer again while its stream breaks, for as long as it gets on: each attempt goes on where the one before
 * stopped.
 */
import { Cause, Duration, Effect, Result, type Scope } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as FrameLink from "../FrameLink.ts"
import { make as failure, TransferError } from "./TransferError.ts"

/** Opens a stream to port 1001 of the peer; it closes with the scope, after what was written has arrived. */
export type Dial<E> = Effect.Effect<Duplex<unknown>, E, Scope.Scope>

/** How long to go on. */
export interface Patience {
  /** Without a byte of progress; two minutes unless told otherwise. */
  readonly patience?: Duration.Input | undefined
}

/** A link whose own failures are all the same to a transfer. */
export type Link = FrameLink.FrameLink<TransferError>

/**
 * Runs `attempt` on a new stream until it succeeds or fails with something else than `Lost`. What dialling says counts as
 * final only at first, before anything was transferred.
 */
export const run = <A, E, R>(
  dial: Dial<E>,
  options: Patience & { readonly doneBytes: () => number },
  attempt: (link: Link) => Effect.Effect<A, TransferError, R | Scope.Scope>
): Effect.Effect<A, E | TransferError, Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    const patienceMs = Duration.toMillis(Duration.fromInputUnsafe(options.patience ?? PATIENCE))
    let progressAtMs = yield* MonotonicTime.nowMs
    let best = options.doneBytes()
    let isConnected = false
    for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
      const connected = Effect.tap(dial, () =>
        Effect.sync(() => {
          isConnected = true
        })
      )
      const tried = yield* Effect.result(
        Effect.scoped(Effect.flatMap(connected, (duplex) => attempt(linkOver(duplex))))
      )
      if (Result.isSuccess(tried)) return tried.success
      const error = tried.failure
      const isFinal = error instanceof TransferError ? error.reason !== "Lost" : !isConnected
      const nowMs = yield* MonotonicTime.nowMs
      if (options.doneBytes() > best) {
        best = options.doneBytes()
        progressAtMs = nowMs
        pauseMs = PAUSE_MS
      }
      if (isFinal || nowMs - progressAtMs >= patienceMs) return yield* Effect.fail(error)
      yield* Effect.sleep(pauseMs)
    }
  }) as Effect.Effect<A, E | TransferError, Exclude<R, Scope.Scope>>

/** The frames of a stream; whatever ends it early is `Lost`. */
export const linkOver = ({ end, read, write }: Duplex<unknown>): Link =>
  FrameLink.make<TransferError>({
    read: Effect.mapError(read, (error) => (isDone(error) ? error : lost)),
    write: (bytes) => Effect.mapError(write(bytes), () => lost),
    end
  })

/** The next frame; every way of having none is `Lost`. */
export const nextFrame = (link: Link) => Effect.mapError(link.read, () => lost)

/** The stream broke. */
export const lost = failure("Lost", "the connection to the peer was lost")

const isDone = (error: unknown): error is Cause.Done => Cause.isDone(error)

/** Two minutes are enough for a restart of either side. */
const PATIENCE = "2 minutes"
const PAUSE_MS = 100
const PAUSE_MAX_MS = 5_000
