/**
 * The epochs of a shim's session (mcp §6.2, §6.3): one numbering of messages after the other, each of which ends when
 * either side has forgotten it. What opened a legacy server is repeated at the beginning of each, before anything else.
 *
 * Owns the current epoch with its `RelayEnd`; told by the `ShimSession`, whose records of calls and opening it keeps up.
 */
import { Effect, Result, type Scope } from "effect"
import type { Call, InFlight } from "../../../protocol/relay/InFlight.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import type { Kept, Opening, Replay } from "../../../protocol/relay/Opening.ts"
import type { Told } from "../../../protocol/relay/ProgressKeepAlive.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import type { Start } from "../../../protocol/relay/RelaySession.ts"
import type { Carried, Repeats } from "../../../protocol/relay/Repeats.ts"
import type { Target } from "../Target.ts"
import type { EgressGuard } from "./EgressGuard.ts"
import * as ShimEpoch from "./ShimEpoch.ts"
import type * as ShimLink from "./ShimLink.ts"
import type { ShimSigns } from "./ShimSigns.ts"

/** What a session knows of its client, over all epochs. */
export interface Books {
  readonly calls: InFlight
  readonly opening: Opening
  readonly repeats: Repeats
  readonly signs: ShimSigns
  /** Told which message carries which calls. */
  readonly carried: EgressGuard["carried"] | undefined
}

/** A session of an earlier process. */
export interface Restored {
  readonly credentials: ShimLink.Credentials
  /** The instance that its credentials are for. */
  readonly at: Target
  /** Whose keeper had it last; undefined before the first. */
  readonly carriedBy: Target | undefined
  readonly start: Start
  readonly calls: ReadonlyArray<Call>
  readonly told: ReadonlyArray<readonly [string, Told]>
  readonly opening: Kept
  /** The messages that waited for a server that was being opened again; undefined if there was none. */
  readonly reopening: ReadonlyArray<Carried> | undefined
}

/** The epochs of one session. */
export interface ShimEpochs {
  readonly current: () => ShimEpoch.State
  /** Accepts a message of the client for an epoch; `lost` keepers that had it are gone. */
  readonly submit: (epoch: ShimEpoch.State, message: Uint8Array, lost?: number, envelope?: JsonRpcPeek.Envelope) => void
  /** Waits until the current epoch takes another message. */
  readonly room: Effect.Effect<void>
  /** The server has answered the repeated `initialize`: the rest may follow. */
  readonly release: (epoch: ShimEpoch.State) => void
  /** Begins another epoch with these messages. */
  readonly replace: (
    credentials: ShimLink.Credentials,
    carried: ReadonlyArray<Carried>
  ) => Effect.Effect<ShimEpoch.State>
}

/**
 * Begins the first epoch, or goes on with one of an earlier process. `fresh` are credentials that nobody has seen; `pump`
 * takes what comes in an epoch.
 */
export const make = Effect.fnUntraced(function* (
  books: Books,
  restored: Restored | undefined,
  fresh: ShimLink.Credentials,
  pump: (epoch: ShimEpoch.State) => Effect.Effect<never>
): Effect.fn.Return<ShimEpochs, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const { calls, opening, repeats, signs } = books
  let count = 0

  const begin = Effect.fnUntraced(function* (credentials: ShimLink.Credentials, carried: ReadonlyArray<Carried>) {
    const [initialize, ...later] = opening.isComplete ? opening.replays : []
    const epoch = yield* ShimEpoch.open(scope, ++count, credentials, initialize === undefined ? undefined : later)
    if (initialize !== undefined) sendReplay(epoch, initialize)
    for (const { bytes, lost } of carried) submit(epoch, bytes, lost)
    yield* Effect.forkIn(pump(epoch), epoch.scope)
    return epoch
  })

  /** The epoch of an earlier process, unless that was just about to open its server again. */
  const goOn = Effect.fnUntraced(function* (restored: Restored) {
    for (const [id, told] of restored.told) signs.restored(id, told)
    // A keeper that has the half-opened session would take what is sent again for what it knows already.
    const { epoch: number } = restored.credentials
    if (restored.reopening !== undefined) return yield* begin({ ...fresh, epoch: number }, restored.reopening)
    const epoch = yield* ShimEpoch.open(scope, ++count, restored.credentials, undefined, restored.start)
    epoch.carriedBy = restored.carriedBy
    for (const { at, id, lost, message, method } of restored.calls) calls.add(id, method, at, lost, message)
    epoch.relay.session.isWaiting = calls.size > 0
    yield* Effect.forkIn(pump(epoch), epoch.scope)
    return epoch
  })

  const sendReplay = (epoch: ShimEpoch.State, { bytes, id }: Replay) => {
    if (id !== undefined) epoch.replayed.add(id, "", 0)
    epoch.relay.sendNow(bytes)
  }

  const submit = (epoch: ShimEpoch.State, message: Uint8Array, lost = 0, envelope = envelopeOf(message)): void => {
    const requests = envelope === undefined ? [] : JsonRpcPeek.requests(envelope)
    if (requests.length > 0) epoch.relay.session.isWaiting = true
    let ordinal = Number.POSITIVE_INFINITY
    if (epoch.held === undefined) ordinal = epoch.relay.sendNow(message)
    else {
      epoch.held.messages.push({ bytes: message, lost })
      epoch.held.sizeBytes += message.length
    }
    const kept = repeats.kept(message, envelope)
    if (epoch.held === undefined) books.carried?.(requests, epoch.credentials, ordinal)
    for (const item of envelope === undefined ? [] : JsonRpcPeek.messages(envelope)) {
      if (item._tag === "Request") {
        calls.add(item.id, item.method, ordinal, lost, kept)
        if (item.progressToken !== undefined && lost === 0) signs.started(item.id, item.progressToken)
      }
      // Here, because a call that never left is submitted once more in the next epoch, and so is its cancellation.
      if (item._tag !== "Notification" || item.cancels === undefined) continue
      const cancelled = calls.cancel(item.cancels)
      if (cancelled !== undefined) signs.ended(cancelled.id)
    }
  }

  const release = (epoch: ShimEpoch.State): void => {
    const held = epoch.held
    if (held === undefined) return
    epoch.held = undefined
    for (const replay of held.replays) sendReplay(epoch, replay)
    for (const { bytes, lost } of held.messages) submit(epoch, bytes, lost)
  }

  const replace = Effect.fnUntraced(function* (credentials: ShimLink.Credentials, carried: ReadonlyArray<Carried>) {
    const previous = current
    current = yield* begin(credentials, carried)
    // Closed by another fiber: this one may belong to what is closed.
    yield* Effect.forkIn(previous.close, scope)
    return current
  })

  const room = Effect.gen(function* () {
    while (true) {
      const epoch = current
      const isHeldFull = (epoch.held?.sizeBytes ?? 0) >= MESSAGE_BYTES_MAX
      if (!isHeldFull && epoch.relay.session.canSend) return
      yield* Effect.raceFirst(isHeldFull ? Effect.sleep(HELD_POLL) : epoch.relay.room, epoch.ended)
    }
  })

  let current: ShimEpoch.State = yield* restored === undefined ? begin(fresh, []) : goOn(restored)
  return { current: () => current, submit, room, release, replace }
})

const HELD_POLL = "100 millis"
const envelopeOf = (message: Uint8Array) => Result.getOrUndefined(JsonRpcPeek.peek(message))
