/**
 * Writes the audit log of a node (`AuditStore`): lines that hold the hash of the one before, and checkpoints that the node
 * signs, at the latest a minute after something was noted.
 *
 * Owns the files. Told by everybody through `AuditTrail`; tells nobody. Its queue is bounded: what does not fit, comes too
 * fast, or cannot be written is counted, and the next line that can says how much is missing. A failure of the disk is no
 * reason to stop; the end of the log is looked for again before the next write.
 */
import { Clock, Effect, type FileSystem, type Path, Queue, type Scope } from "effect"
import * as Provided from "../../core/actor/Provided.ts"
import { Crypto, type SigningKey } from "../../core/crypto/Crypto.ts"
import type { Json, JsonObject } from "../../core/data/Json.ts"
import { TokenBucket } from "../../core/data/TokenBucket.ts"
import * as AuditLine from "../../protocol/audit/AuditLine.ts"
import type { AuditSettings } from "../../protocol/policy/PolicyDocument.ts"
import * as AuditStore from "./AuditStore.ts"
import type { Running } from "./AuditTrail.ts"
import { AuditWriter, type Noted } from "./AuditWriter.ts"

/** What a log is made for. */
export interface Options {
  /** The state directory. */
  readonly home: string
  readonly key: SigningKey
  /** As they are now. */
  readonly settings: () => AuditSettings
  /** How people compare the key of that node; undefined if it is not known. */
  readonly fingerprint: (node: number) => string | undefined
  /** A file that has so many bytes is followed by another. */
  readonly segmentBytes?: number
}

/** Writes in the surrounding scope; its end signs the last lines. */
export const start = Effect.fn("AuditActor.start")(function* (
  options: Options
): Effect.fn.Return<Running, never, Crypto | FileSystem.FileSystem | Path.Path | Scope.Scope> {
  const clock = yield* Clock.Clock
  const services = yield* Provided.services<FileSystem.FileSystem | Path.Path>()
  const writer = new AuditWriter({ ...options, crypto: yield* Crypto, directory: AuditStore.directoryOf(options.home) })
  const waiting = yield* Queue.dropping<Noted | Effect.Effect<void>>(WAITING_MAX)
  const rates = new Map<AuditLine.Kind, TokenBucket>()
  const nowMs = () => clock.currentTimeMillisUnsafe()
  let isFull = false

  const rateOf = (kind: AuditLine.Kind): TokenBucket => {
    const rate = rates.get(kind) ?? new TokenBucket(RATE, nowMs())
    rates.set(kind, rate)
    return rate
  }
  const record = ({ facts = {}, kind, node }: AuditLine.Entry) => {
    if (!rateOf(kind).take(nowMs())) return writer.suppress(kind)
    const key = node === undefined ? undefined : options.fingerprint(node)
    const whose = node === undefined ? {} : { node, ...(key === undefined ? {} : { key }) }
    isFull = !Queue.offerUnsafe(waiting, { kind, facts: { ...whose, ...clipped(facts) }, atMs: nowMs() })
    if (isFull) writer.lose(1)
  }
  const drain = Effect.gen(function* () {
    const first = yield* writer.isSettled
      ? Effect.asSome(Queue.take(waiting))
      : Effect.timeoutOption(Queue.take(waiting), CHECKPOINT_INTERVAL)
    if (first._tag === "Some" && !Effect.isEffect(first.value)) yield* Effect.sleep(BATCH_DELAY_MS)
    const batch = [...(first._tag === "Some" ? [first.value] : []), ...(yield* Queue.clear(waiting))]
    isFull = false
    const noted: Array<Noted> = []
    const after: Array<Effect.Effect<void>> = []
    for (const item of batch) Effect.isEffect(item) ? after.push(item) : noted.push(item)
    const seals = after.length > 0 || first._tag === "None"
    yield* Effect.provideContext(writer.write(noted, seals, nowMs()), services)
    yield* Effect.forEach(after, (effect) => effect, { discard: true })
  })
  yield* Effect.forkScoped(Effect.forever(drain))
  const sealed = Effect.callback<void>((resume) => {
    const told = Effect.sync(() => resume(Effect.void))
    if (!Queue.offerUnsafe(waiting, told)) resume(Effect.void)
  })
  // Before the fiber is stopped, which began before this was added.
  yield* Effect.addFinalizer(() => {
    record({ kind: "node.stopped" })
    return Effect.timeoutOption(sealed, FLUSH_TIMEOUT)
  })
  record({ kind: "node.started" })
  return {
    record,
    isRefusing: () => options.settings().onFailure === "refuse" && (isFull || writer.failure !== undefined),
    status: () => ({ ...writer.status }),
    sealed
  }
})

/** What peers say is no longer than it needs to be. */
const clipped = (facts: JsonObject): JsonObject => {
  const own: Record<string, Json> = {}
  for (const [name, value] of Object.entries(facts)) {
    const max = name === "arguments" ? ARGUMENTS_CHARACTERS_MAX : AuditLine.TEXT_CHARACTERS_MAX
    if (value !== undefined) own[name] = typeof value === "string" && value.length > max ? value.slice(0, max) : value
  }
  return own
}

/** Entries that wait to be written. */
const WAITING_MAX = 8192
/** Entries of one kind; beyond them only their number is kept, so that a flood does not wash out what came before. */
const RATE = { capacity: 2_000, perSecond: 200 }
const ARGUMENTS_CHARACTERS_MAX = 16_384
/** Entries of so long are written together. */
const BATCH_DELAY_MS = 50
/** Something noted is signed so long after it at the latest, if nothing follows. */
const CHECKPOINT_INTERVAL = "60 seconds"
const FLUSH_TIMEOUT = "3 seconds"
