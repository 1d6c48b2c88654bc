/**
 * The end of an audit log, and how it grows: a batch of entries becomes lines of the newest file; from time to time a
 * checkpoint is among them, the files on disk, and `head.json` renewed. Mutable, with one owner, who calls `write` again
 * only after it has ended.
 */
import { Clock, Effect, FileSystem, type Path } from "effect"
import type { Crypto, SigningKey } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as AuditLine from "../../protocol/audit/AuditLine.ts"
import type { AuditSettings } from "../../protocol/policy/PolicyDocument.ts"
import * as AuditStore from "./AuditStore.ts"
import type { Status } from "./AuditTrail.ts"

/** What it needs. */
export interface Options {
  readonly directory: string
  readonly key: SigningKey
  readonly crypto: Crypto["Service"]
  readonly settings: () => AuditSettings
  /** A file that has so many bytes is followed by another; `SEGMENT_BYTES` unless said. */
  readonly segmentBytes?: number
}

/** Something on its way into the log. */
export interface Noted {
  readonly kind: AuditLine.Kind
  readonly facts: JsonObject
  readonly atMs: number
}

type Failure = { readonly message: string }
type Disk = FileSystem.FileSystem | Path.Path

/** The log's end. */
export class AuditWriter {
  readonly #options: Options
  /** Whose signatures the last checkpoint has; a new key signs at once, so that the log ends under the key of now. */
  #signedBy: string
  #segment: AuditStore.Segment | undefined
  #sizeBytes = 0
  #segmentAtMs = 0
  #seq = 0
  #hash = AuditLine.ORIGIN
  /** The end is known, and nothing else writes. */
  #isReady = false
  /** Lines behind the last checkpoint, and when that was. */
  #unsigned = 0
  #signedAtMs = Number.NEGATIVE_INFINITY
  /** What the log has to say of itself before the next entry. */
  #own: Array<{ readonly kind: AuditLine.OwnKind; readonly facts: JsonObject }> = []
  #lost = 0
  #untold = 0
  #suppressed = 0
  #suppressedKinds = new Map<string, number>()
  #failure: string | undefined
  /** The lines of the present write are in the file, whatever fails after that. */
  #isAppended = false

  constructor(options: Options) {
    this.#options = options
    this.#signedBy = this.#publicKey
  }

  /** Of now: the node's key may be replaced while it runs. */
  get #publicKey(): string {
    return Bytes.toBase64(this.#options.key.publicKey)
  }

  /** Nothing waits to be signed or told. */
  get isSettled(): boolean {
    return this.#unsigned === 0 && this.#suppressedKinds.size === 0 && this.#untold === 0
  }

  /** Why the last write did not succeed. */
  get failure(): string | undefined {
    return this.#failure
  }

  /** What the log says of itself. */
  get status(): Status {
    return {
      directory: this.#options.directory,
      lastSeq: this.#seq,
      lastHash: this.#hash,
      lost: this.#lost,
      suppressed: this.#suppressed,
      failure: this.#failure
    }
  }

  /** So many entries will not be written. */
  lose(count: number): void {
    this.#lost += count
    this.#untold += count
  }

  /** One entry of this kind will only be counted. */
  suppress(kind: string): void {
    this.#suppressed++
    this.#suppressedKinds.set(kind, (this.#suppressedKinds.get(kind) ?? 0) + 1)
  }

  /** Writes the entries, or counts them as lost. `seals`: a checkpoint follows them. */
  write(noted: ReadonlyArray<Noted>, seals: boolean, nowMs: number): Effect.Effect<void, never, Disk> {
    this.#isAppended = false
    return this.#write(noted, seals, nowMs).pipe(
      Effect.tap(() => Effect.sync(() => (this.#failure = undefined))),
      Effect.catch((error: Failure) => this.#failed(this.#isAppended ? 0 : noted.length, error)),
      Effect.uninterruptible
    )
  }

  #write(noted: ReadonlyArray<Noted>, seals: boolean, nowMs: number): Effect.Effect<void, Failure, Disk> {
    return Effect.gen({ self: this }, function* () {
      const { directory } = this.#options
      if (!this.#isReady) yield* this.#resume
      const going = this.#segment === undefined ? yield* this.#excess(nowMs) : []
      const segment = this.#segment ?? AuditStore.segmentAt(directory, this.#seq + 1)
      if (this.#segment === undefined) this.#segmentAtMs = nowMs
      const lines = this.#linesOf(noted, nowMs)
      const fills =
        this.#sizeBytes + lines.text.length >= (this.#options.segmentBytes ?? SEGMENT_BYTES) ||
        nowMs - this.#segmentAtMs >= SEGMENT_AGE_MS
      const isDue =
        this.#unsigned + lines.count >= CHECKPOINT_LINES ||
        nowMs - this.#signedAtMs >= CHECKPOINT_MS ||
        this.#signedBy !== this.#publicKey
      const signs = (seals || isDue || fills) && this.#unsigned + lines.count > 0
      if (signs) lines.sign(nowMs)
      if (lines.count === 0) return
      this.#sizeBytes += yield* AuditStore.append(segment, lines.text, this.#sizeBytes, signs)
      this.#isAppended = true
      this.#segment = segment
      this.#seq = lines.seq
      this.#hash = lines.hash
      this.#unsigned = signs ? 0 : this.#unsigned + lines.count
      this.#own = []
      this.#untold = 0
      this.#suppressedKinds = new Map()
      const files = yield* FileSystem.FileSystem
      yield* Effect.forEach(going, ({ path }) => Effect.ignore(files.remove(path)), { discard: true })
      if (signs) yield* this.#signed(nowMs)
      if (fills) {
        this.#segment = undefined
        this.#sizeBytes = 0
      }
    })
  }

  #signed(nowMs: number): Effect.Effect<void, Failure, Disk> {
    this.#signedAtMs = nowMs
    this.#signedBy = this.#publicKey
    const signature = Bytes.toBase64(this.#options.key.sign(AuditLine.headText(this.#seq, this.#hash)))
    const head = { seq: this.#seq, hash: this.#hash, publicKey: this.#signedBy, signature }
    return AuditStore.saveHead(this.#options.directory, head)
  }

  /** The lines of the entries and what goes before them; nothing of this object changes before they are written. */
  #linesOf(noted: ReadonlyArray<Noted>, nowMs: number) {
    const { crypto, key } = this.#options
    const publicKey = this.#publicKey
    const lines = {
      text: "",
      count: 0,
      seq: this.#seq,
      hash: this.#hash,
      add: (kind: AuditLine.Kind | AuditLine.OwnKind, atMs: number, facts: (place: AuditLine.Place) => JsonObject) => {
        const place = { seq: lines.seq + 1, time: new Date(atMs).toISOString(), previous: lines.hash }
        const line = AuditLine.encode(place, kind, facts(place))
        lines.text += `${line}\n`
        lines.count++
        lines.seq = place.seq
        lines.hash = Bytes.toHex(crypto.sha256(Bytes.fromUtf8(line)))
      },
      sign: (atMs: number) =>
        lines.add("checkpoint", atMs, (place) => ({
          publicKey,
          signature: Bytes.toBase64(key.sign(AuditLine.checkpointText(place)))
        }))
    }
    for (const { facts, kind } of this.#own) lines.add(kind, nowMs, () => facts)
    if (this.#untold > 0) lines.add("lost", nowMs, () => ({ count: this.#untold }))
    for (const [of, count] of this.#suppressedKinds) lines.add("suppressed", nowMs, () => ({ of, count }))
    for (const { atMs, facts, kind } of noted) lines.add(kind, atMs, () => facts)
    return lines
  }

  get #resume(): Effect.Effect<void, Failure, Disk> {
    return Effect.gen({ self: this }, function* () {
      const { crypto, directory } = this.#options
      const end = yield* AuditStore.resume(directory, crypto, this.#publicKey)
      this.#own = []
      if (end.tornBytes > 0) this.#own.push({ kind: "repaired", facts: { bytes: end.tornBytes } })
      if (end.broken !== undefined) {
        this.#own.push({ kind: "broken", facts: { detail: end.broken } })
        yield* Effect.logError(`audit: ${end.broken}; see pilotctl audit verify`)
      }
      this.#segment = end.segment
      this.#segmentAtMs = yield* Clock.currentTimeMillis
      this.#sizeBytes = end.sizeBytes
      this.#seq = end.seq
      this.#hash = end.hash
      // Whether the last line is signed is known to nobody, and one checkpoint more does no harm.
      this.#unsigned = end.seq === 0 ? 0 : 1
      this.#isReady = true
    })
  }

  /** At the beginning of a file: those that have to go. The log says so before it happens. */
  #excess(nowMs: number): Effect.Effect<ReadonlyArray<AuditStore.Segment>, Failure, Disk> {
    return Effect.gen({ self: this }, function* () {
      const { crypto, directory, settings } = this.#options
      const { maxDays = DAYS_MAX, maxMegabytes = MEGABYTES_MAX } = settings()
      const bounds = { bytesMax: maxMegabytes * 1_000_000, nowMs, oldestMs: nowMs - maxDays * DAY_MS }
      const all = yield* AuditStore.segments(directory)
      const excess = yield* AuditStore.excess(all, bounds, crypto.sha256)
      if (excess === undefined) return []
      const { firstSeq = 1 } = all[excess.going.length] ?? {}
      this.#own.push({ kind: "pruned", facts: { through: firstSeq - 1, head: excess.head } })
      return excess.going
    })
  }

  #failed(count: number, error: Failure): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.lose(count)
      this.#isReady = false
      const isNew = this.#failure === undefined
      this.#failure = error.message
      return isNew ? Effect.logError(`audit: the log cannot be written: ${error.message}`) : Effect.void
    })
  }
}

/** A file that has so many bytes, or is so old, is followed by another. */
export const SEGMENT_BYTES = 8_388_608
const SEGMENT_AGE_MS = 604_800_000
/** Lines behind a checkpoint before there is another, and the time. */
export const CHECKPOINT_LINES = 1024
const CHECKPOINT_MS = 60_000
/** What the whole log keeps unless the policy says otherwise. */
export const MEGABYTES_MAX = 256
const DAYS_MAX = 400
const DAY_MS = 86_400_000
