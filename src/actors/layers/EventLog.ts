/**
 * What a node reports of itself, as log lines. Reporting happens on the packet path, so it only counts and queues: drops
 * are summed up once a minute, the rest is logged as it comes, and refused keys at most once a second. What the level of the
 * log leaves out is not queued.
 */
import { Clock, Effect, LogLevel, Queue, References, Schedule, type Scope } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import type { DropReason, ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import * as Address from "../../protocol/wire/Address.ts"

/** Starts logging in the surrounding scope; gives the function that takes the events. */
export const make: Effect.Effect<(event: ProtocolEvent) => void, never, Scope.Scope> = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const level = yield* References.MinimumLogLevel
  const queue = yield* Queue.sliding<ProtocolEvent>(EVENTS_MAX)
  const drops = new Map<DropReason, number>()
  let refusedAtMs = Number.NEGATIVE_INFINITY
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(queue), log)))
  yield* Effect.forkScoped(Effect.repeat(summarize(drops), Schedule.spaced(SUMMARY_INTERVAL)))
  return (event) => {
    if (LogLevel.isLessThan(levelOf(event), level)) return
    if (event._tag === "PacketDropped") {
      drops.set(event.reason, (drops.get(event.reason) ?? 0) + 1)
      return
    }
    // `ConnectionOpened` says it.
    if (event._tag === "SynReceived") return
    // The broker counts them.
    if (event._tag === "EventPublished" || event._tag === "EventsRateLimited") return
    if (event._tag === "KeyRefused") {
      const nowMs = MonotonicTime.nowMsUnsafe(clock)
      if (nowMs - refusedAtMs < REFUSALS_INTERVAL_MS) return
      refusedAtMs = nowMs
    }
    Queue.offerUnsafe(queue, event)
  }
})

const summarize = (drops: Map<DropReason, number>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (drops.size === 0) return Effect.void
    const counts = Object.fromEntries(drops)
    drops.clear()
    return Effect.logInfo("packets dropped", counts)
  })

const log = (event: ProtocolEvent): Effect.Effect<void> => {
  const { _tag, ...facts } = event
  const text = Object.entries(facts).map(([name, value]) => `${name}=${textOf(value)}`)
  return Effect.logWithLevel(levelOf(event))([_tag, ...text].join(" "))
}

const textOf = (value: unknown): string => {
  if (typeof value !== "object" || value === null) return String(value)
  return isAddress(value) ? Address.format(value) : JSON.stringify(value)
}

const isAddress = (value: object): value is Address.Address => "node" in value && "network" in value

const levelOf = ({ _tag }: ProtocolEvent): LogLevel.Severity => LEVELS[_tag] ?? "Info"

/** A refused key is somebody's attack or somebody's mistake; streams come and go. */
const LEVELS: Partial<Record<ProtocolEvent["_tag"], LogLevel.Severity>> = {
  KeyRefused: "Warn",
  StoreFull: "Warn",
  KeyAnnounced: "Warn",
  KeyForked: "Warn",
  RecoveryKeyContested: "Warn",
  OwnKeyContested: "Error",
  PolicyRefused: "Error",
  ConnectionOpened: "Debug",
  ConnectionClosed: "Debug",
  DatagramReceived: "Debug",
  EventSubscribed: "Debug",
  EventUnsubscribed: "Debug"
}

/** Events waiting to be written; the oldest give way. */
const EVENTS_MAX = 256
const REFUSALS_INTERVAL_MS = 1_000
const SUMMARY_INTERVAL = "1 minute"
