/**
 * The log of a broker: every event with its sequence number, and the places of named consumers, in SQL. What `append` has
 * returned is on disk. Bounded by count, bytes and age: the oldest events go, whoever has not read them.
 */
import { Effect, Schema, type Scope } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as Migrations from "../../core/storage/Migrations.ts"
import type { StoredEvent } from "../../protocol/pubsub/RecentEvents.ts"
import { NodeId } from "../../protocol/wire/Address.ts"

/** The log cannot be read or written. */
export class JournalError extends Schema.TaggedError<JournalError>()("JournalError", {
  operation: Schema.Literals(["open", "append", "read", "remember"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** Whose place it is: the key that stands behind a subscriber, and a name that it chose. */
export interface ConsumerId {
  /** Ed25519, hexadecimal. */
  readonly key: string
  readonly name: string
}

/** How much is kept. */
export interface Retention {
  readonly countMax: number
  readonly bytesMax: number
  readonly ageMs: number
  readonly consumersMax: number
}

/** An event to be stored. */
export type NewEvent = Omit<StoredEvent, "sequence">

/** Part of the log. */
export interface Page {
  readonly events: ReadonlyArray<StoredEvent>
  /** Everything up to here was looked at. */
  readonly position: number
}

/** An open log, with one user. `first` is one above `last` while nothing is kept. */
export interface EventJournal {
  /** Names this log; it changes when the file is lost. */
  readonly log: string
  readonly first: () => number
  readonly last: () => number
  readonly sizeBytes: () => number
  /** Stores them under the next sequence numbers, all or none; gives the first of these. */
  readonly append: (events: ReadonlyArray<NewEvent>) => Effect.Effect<number, JournalError>
  /** The next events behind a place that are wanted, at most about `bytesMax` of them. */
  readonly read: (
    after: number,
    isWanted: (topic: string) => boolean,
    bytesMax: number
  ) => Effect.Effect<Page, JournalError>
  /** The last sequence number that this consumer has acknowledged, if it is known. */
  readonly place: (consumer: ConsumerId) => Effect.Effect<number | undefined, JournalError>
  /** Keeps the places of consumers; those not heard of for longest make room. */
  readonly remember: (places: ReadonlyArray<Place>, nowMs: number) => Effect.Effect<void, JournalError>
}

/** How far a consumer has come. */
export interface Place extends ConsumerId {
  readonly acknowledged: number
}

/**
 * Opens the log in the database of the surrounding `SqlClient`; `newName` names it if it is new. `synced` puts on disk what was
 * committed, where a commit alone does not.
 */
export const open = Effect.fnUntraced(function* (
  retention: Retention,
  newName: string,
  nowMs: number,
  synced: Effect.Effect<void, { readonly message: string; readonly detail?: string }> = Effect.void
): Effect.fn.Return<EventJournal, JournalError, SqlClient.SqlClient | Scope.Scope> {
  const sql = yield* SqlClient.SqlClient
  const failed = (operation: JournalError["operation"]) =>
    Effect.mapError(
      (error: { readonly message: string; readonly detail?: string }) =>
        // What the engine said stands behind Effect's own words.
        new JournalError({ operation, detail: error.detail ?? error.message })
    )
  yield* failed("open")(Migrations.run(MIGRATIONS))
  const state = yield* failed("open")(load(sql, newName))
  yield* failed("open")(Effect.andThen(prune(sql, retention, state, nowMs), synced))
  const sync = failed("append")(synced)
  return {
    log: state.log,
    first: () => state.first,
    last: () => state.last,
    sizeBytes: () => state.bytes,
    append: (events) => append(sql, retention, state, events, sync).pipe(failed("append")),
    read: (after, isWanted, bytesMax) => failed("read")(read(sql, state, after, isWanted, bytesMax)),
    place: (consumer) => failed("read")(placeOf(sql, consumer)),
    remember: (places, now) => failed("remember")(Effect.andThen(remember(sql, retention, places, now), synced))
  }
})

/** Mutable: what is in the table, so that nothing is counted there. */
interface State {
  readonly log: string
  first: number
  last: number
  bytes: number
  /** When the oldest event is looked at next for its age. */
  agedAtMs: number
}

const load = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, newName: string) {
  yield* sql`INSERT INTO event_log (id, name) VALUES (1, ${newName}) ON CONFLICT (id) DO NOTHING`
  const [log] = yield* decodeLog(yield* sql`SELECT name FROM event_log WHERE id = 1`)
  const [totals] = yield* decodeTotals(
    yield* sql`SELECT COALESCE(MIN(sequence), 1) AS first, COALESCE(MAX(sequence), 0) AS last,
      COALESCE(SUM(size_bytes), 0) AS bytes FROM events`
  )
  const state: State = {
    log: log?.name ?? newName,
    first: totals?.first ?? 1,
    last: totals?.last ?? 0,
    bytes: totals?.bytes ?? 0,
    agedAtMs: 0
  }
  return state
})

const append = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  retention: Retention,
  state: State,
  events: ReadonlyArray<NewEvent>,
  sync: Effect.Effect<void, JournalError>
) {
  const first = state.last + 1
  const rows = events.map(({ payload, publishedAtMs, publisher, topic }, index) => ({
    sequence: first + index,
    topic,
    payload,
    publisher,
    published_at: publishedAtMs,
    size_bytes: payload.length + EVENT_OVERHEAD_BYTES
  }))
  const [head, ...others] = rows
  if (head === undefined) return first
  yield* sql`INSERT INTO events ${sql.insert([head, ...others])}`
  // While the disk works, the next publications come in and will share its next turn. All or none: what may not be on disk
  // is taken back, and nobody has read it, since reading ends at `last`.
  yield* Effect.onError(sync, () => Effect.ignore(sql`DELETE FROM events WHERE sequence >= ${first}`))
  state.last += rows.length
  state.bytes += rows.reduce((bytes, row) => bytes + row.size_bytes, 0)
  // They are stored, whatever becomes of the old ones.
  yield* Effect.ignore(prune(sql, retention, state, events.at(-1)?.publishedAtMs ?? 0))
  return first
})

/** The newest event stays, so that numbers go on where they were after a restart. */
const prune = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  { ageMs, bytesMax, countMax }: Retention,
  state: State,
  nowMs: number
) {
  const isLarge = () => state.last - state.first + 1 > countMax || state.bytes > bytesMax
  const isOld = nowMs >= state.agedAtMs
  if (!isLarge() && !isOld) return
  if (isOld) state.agedAtMs = nowMs + AGE_CHECK_MS
  for (;;) {
    const oldest = yield* decodeOldest(
      yield* sql`SELECT sequence, size_bytes, published_at FROM events ORDER BY sequence LIMIT ${PRUNE_ROWS}`
    )
    // A share more than needed, so that the next append has room.
    const [count, bytes] = [countMax - countMax / SLACK, bytesMax - bytesMax / SLACK]
    const wasLarge = isLarge()
    let last = 0
    for (const { published_at, sequence, size_bytes } of oldest) {
      const isTooMuch = wasLarge && (state.last - sequence + 1 > count || state.bytes > bytes)
      if (sequence === state.last || !(isTooMuch || published_at < nowMs - ageMs)) break
      last = sequence
      state.bytes -= size_bytes
    }
    if (last === 0) return
    yield* sql`DELETE FROM events WHERE sequence <= ${last}`
    state.first = last + 1
    if (oldest.length < PRUNE_ROWS) return
  }
})

/** Topics and sizes first, so that only what is wanted and fits is ever in memory. */
const read = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  state: State,
  after: number,
  isWanted: (topic: string) => boolean,
  bytesMax: number
) {
  const heads = yield* decodeHeads(
    yield* sql`SELECT sequence, topic, size_bytes FROM events
      WHERE sequence > ${after} AND sequence <= ${state.last} ORDER BY sequence LIMIT ${PAGE_ROWS}`
  )
  const wanted: Array<number> = []
  let bytes = 0
  let position = heads.length < PAGE_ROWS ? Math.max(after, state.last) : after
  for (const { sequence, size_bytes, topic } of heads) {
    if (bytes >= bytesMax) {
      position = sequence - 1
      break
    }
    position = Math.max(position, sequence)
    if (!isWanted(topic)) continue
    wanted.push(sequence)
    bytes += size_bytes
  }
  if (wanted.length === 0) return { events: [], position }
  const rows = yield* decodeEvents(
    yield* sql`SELECT sequence, topic, payload, publisher, published_at FROM events
      WHERE ${sql.in("sequence", wanted)} ORDER BY sequence`
  )
  const events = rows.map(
    (row): StoredEvent => ({
      sequence: row.sequence,
      topic: row.topic,
      payload: row.payload,
      publisher: NodeId(row.publisher),
      publishedAtMs: row.published_at
    })
  )
  return { events, position }
})

const placeOf = (sql: SqlClient.SqlClient, { key, name }: ConsumerId) =>
  sql`SELECT acknowledged FROM event_consumers WHERE consumer_key = ${key} AND name = ${name}`.pipe(
    Effect.flatMap(decodePlaces),
    Effect.map((rows) => rows[0]?.acknowledged)
  )

const remember = (sql: SqlClient.SqlClient, retention: Retention, places: ReadonlyArray<Place>, nowMs: number) =>
  sql.withTransaction(
    Effect.gen(function* () {
      for (const { acknowledged, key, name } of places)
        yield* sql`INSERT INTO event_consumers (consumer_key, name, acknowledged, seen_at)
          VALUES (${key}, ${name}, ${acknowledged}, ${nowMs})
          ON CONFLICT (consumer_key, name) DO UPDATE SET
            acknowledged = MAX(event_consumers.acknowledged, excluded.acknowledged), seen_at = excluded.seen_at`
      yield* sql`DELETE FROM event_consumers WHERE (consumer_key, name) IN (
        SELECT consumer_key, name FROM event_consumers ORDER BY seen_at DESC, consumer_key, name
        LIMIT -1 OFFSET ${retention.consumersMax})`
    })
  )

const createTables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE event_log (id INTEGER PRIMARY KEY, name TEXT NOT NULL)`
  yield* sql`CREATE TABLE events (
        sequence INTEGER PRIMARY KEY,
        topic TEXT NOT NULL,
        payload BLOB NOT NULL,
        publisher BIGINT NOT NULL,
        published_at BIGINT NOT NULL,
        size_bytes INTEGER NOT NULL
      )`
  yield* sql`CREATE TABLE event_consumers (
        consumer_key TEXT NOT NULL,
        name TEXT NOT NULL,
        acknowledged BIGINT NOT NULL,
        seen_at BIGINT NOT NULL,
        PRIMARY KEY (consumer_key, name)
      )`
})

/** Each released step never changes; the next one is appended. */
const MIGRATIONS: ReadonlyArray<Migrations.Migration<SqlError.SqlError>> = [
  { id: 1, name: "events", migrate: createTables }
]

const decodeLog = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ name: Schema.String })))
const decodeTotals = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ first: Schema.Int, last: Schema.Int, bytes: Schema.Int }))
)
const decodeOldest = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ sequence: Schema.Int, size_bytes: Schema.Int, published_at: Schema.Int }))
)
const decodeHeads = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ sequence: Schema.Int, topic: Schema.String, size_bytes: Schema.Int }))
)
const decodeEvents = Schema.decodeUnknownEffect(
  Schema.Array(
    Schema.Struct({
      sequence: Schema.Int,
      topic: Schema.String,
      payload: Schema.Uint8Array,
      publisher: Schema.Int,
      published_at: Schema.Int
    })
  )
)
const decodePlaces = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ acknowledged: Schema.Int })))

/** What is kept unless told otherwise. */
export const RETENTION: Retention = {
  countMax: 100_000,
  bytesMax: 256 << 20,
  ageMs: 7 * 86_400_000,
  consumersMax: 1_024
}
/** Roughly what a row takes beside its payload. */
const EVENT_OVERHEAD_BYTES = 64
const PAGE_ROWS = 256
const PRUNE_ROWS = 1_024
/** When a bound is met, this part of it is made room for. */
const SLACK = 16
const AGE_CHECK_MS = 3_600_000
