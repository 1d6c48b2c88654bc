/**
 * `RegistryStore` in SQL: one table per kind of row, one transaction per commit. The statements are those that SQLite
 * and PostgreSQL share; lists are JSON text, keys base64, flags 0 and 1.
 */
import { Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as Migrations from "../../core/storage/Migrations.ts"
import { SqlInt } from "../../core/storage/SqlInt.ts"
import type { Change, Rows } from "../../protocol/registry/Change.ts"
import * as NodeKeys from "../../protocol/registry/NodeKeys.ts"
import type { NodeRecord } from "../../protocol/registry/NodeRecord.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import { RegistryStore, RegistryStoreError } from "./RegistryStore.ts"

/** Keeps the rows in the database of the surrounding `SqlClient`; creates or migrates the tables first. */
export const layer: Layer.Layer<RegistryStore, RegistryStoreError, SqlClient.SqlClient> = Layer.effect(
  RegistryStore,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* Effect.mapError(
      Migrations.run(MIGRATIONS),
      ({ detail }) => new RegistryStoreError({ operation: "load", detail })
    )
    return RegistryStore.of({
      load: Effect.mapError(load(sql), (error) => new RegistryStoreError({ operation: "load", detail: error.message })),
      commit: (changes) =>
        sql
          .withTransaction(Effect.forEach(changes, (change) => write(sql, change), { discard: true }))
          .pipe(Effect.mapError((error) => new RegistryStoreError({ operation: "commit", detail: error.message })))
    })
  })
)

const createTables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE registry_nodes (
        id BIGINT PRIMARY KEY,
        public_key TEXT NOT NULL,
        owner_text TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        lan_addresses TEXT NOT NULL,
        hostname TEXT NOT NULL,
        tags TEXT NOT NULL,
        is_public INTEGER NOT NULL,
        task_exec INTEGER NOT NULL,
        polo_score BIGINT NOT NULL,
        is_present INTEGER NOT NULL,
        present_at BIGINT NOT NULL,
        has_signed INTEGER NOT NULL,
        has_bound_rotation INTEGER NOT NULL,
        has_bound_heartbeat INTEGER NOT NULL
      )`
  yield* sql`CREATE TABLE registry_trust (
        from_id BIGINT NOT NULL,
        to_id BIGINT NOT NULL,
        PRIMARY KEY (from_id, to_id)
      )`
  yield* sql`CREATE TABLE registry_requests (
        target_id BIGINT NOT NULL,
        from_id BIGINT NOT NULL,
        justification TEXT NOT NULL,
        requested_at BIGINT NOT NULL,
        is_delivered INTEGER NOT NULL,
        PRIMARY KEY (target_id, from_id)
      )`
  yield* sql`CREATE TABLE registry_responses (
        requester_id BIGINT NOT NULL,
        from_id BIGINT NOT NULL,
        is_accept INTEGER NOT NULL,
        responded_at BIGINT NOT NULL,
        PRIMARY KEY (requester_id, from_id)
      )`
})

const createCards = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE registry_cards (
        node_id BIGINT NOT NULL,
        service TEXT NOT NULL,
        signed_card TEXT NOT NULL,
        PRIMARY KEY (node_id, service)
      )`
})

const addKeys = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE registry_nodes ADD COLUMN node_keys TEXT NOT NULL DEFAULT ''`
})

const load = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient
): Effect.fn.Return<Rows, SqlError.SqlError | Schema.SchemaError> {
  const nodes = yield* decodeNodes(yield* sql`SELECT * FROM registry_nodes ORDER BY id`)
  const trust = yield* decodeTrust(yield* sql`SELECT * FROM registry_trust ORDER BY from_id, to_id`)
  const requests = yield* decodeRequests(
    yield* sql`SELECT * FROM registry_requests ORDER BY requested_at, target_id, from_id`
  )
  const responses = yield* decodeResponses(
    yield* sql`SELECT * FROM registry_responses ORDER BY responded_at, requester_id, from_id`
  )
  const cards = yield* decodeCards(yield* sql`SELECT * FROM registry_cards ORDER BY node_id, service`)
  return {
    nodes: nodes.map(toRecord),
    trust: trust.map(({ from_id, to_id }) => ({ from: NodeId(from_id), to: NodeId(to_id) })),
    requests: requests.map((row) => ({
      target: NodeId(row.target_id),
      request: {
        from: NodeId(row.from_id),
        justification: row.justification,
        timestampSeconds: row.requested_at,
        isDelivered: row.is_delivered === 1
      }
    })),
    responses: responses.map((row) => ({
      requester: NodeId(row.requester_id),
      response: {
        from: NodeId(row.from_id),
        accept: row.is_accept === 1,
        timestampSeconds: row.responded_at
      }
    })),
    cards: cards.flatMap(({ node_id, service, signed_card }) => {
      const signed = Json.parseObject(signed_card)
      return signed === undefined ? [] : [{ node: NodeId(node_id), service, signed }]
    })
  }
})

const write = (sql: SqlClient.SqlClient, change: Change): Effect.Effect<unknown, SqlError.SqlError> => {
  switch (change._tag) {
    case "NodeStored":
      return writeNode(sql, change.record)
    case "TrustStored":
      return sql`INSERT INTO registry_trust (from_id, to_id) VALUES (${change.from}, ${change.to})
        ON CONFLICT (from_id, to_id) DO NOTHING`
    case "TrustRemoved":
      return sql`DELETE FROM registry_trust WHERE from_id = ${change.from} AND to_id = ${change.to}`
    case "RequestStored": {
      const { from, justification, timestampSeconds, isDelivered } = change.request
      return sql`INSERT INTO registry_requests (target_id, from_id, justification, requested_at, is_delivered)
        VALUES (${change.target}, ${from}, ${justification}, ${timestampSeconds}, ${flag(isDelivered)})
        ON CONFLICT (target_id, from_id) DO UPDATE SET justification = excluded.justification,
          requested_at = excluded.requested_at, is_delivered = excluded.is_delivered`
    }
    case "RequestRemoved":
      return sql`DELETE FROM registry_requests WHERE target_id = ${change.target} AND from_id = ${change.from}`
    case "ResponseStored": {
      const { from, accept, timestampSeconds } = change.response
      return sql`INSERT INTO registry_responses (requester_id, from_id, is_accept, responded_at)
        VALUES (${change.requester}, ${from}, ${flag(accept)}, ${timestampSeconds})
        ON CONFLICT (requester_id, from_id) DO UPDATE SET is_accept = excluded.is_accept,
          responded_at = excluded.responded_at`
    }
    case "ResponseRemoved":
      return sql`DELETE FROM registry_responses WHERE requester_id = ${change.requester} AND from_id = ${change.from}`
    case "CardStored":
      return sql`INSERT INTO registry_cards (node_id, service, signed_card)
        VALUES (${change.node}, ${change.service}, ${JSON.stringify(change.signed)})
        ON CONFLICT (node_id, service) DO UPDATE SET signed_card = excluded.signed_card`
    case "CardRemoved":
      return sql`DELETE FROM registry_cards WHERE node_id = ${change.node} AND service = ${change.service}`
  }
}

const writeNode = (sql: SqlClient.SqlClient, node: NodeRecord): Effect.Effect<unknown, SqlError.SqlError> =>
  sql`INSERT INTO registry_nodes (id, public_key, owner_text, endpoint, lan_addresses, hostname, tags, is_public,
      task_exec, polo_score, is_present, present_at, has_signed, has_bound_rotation, has_bound_heartbeat,
      node_keys)
    VALUES (${node.id}, ${Bytes.toBase64(node.publicKey)}, ${node.owner}, ${node.endpoint},
      ${JSON.stringify(node.lanAddresses)}, ${node.hostname}, ${JSON.stringify(node.tags)}, ${flag(node.isPublic)},
      ${flag(node.taskExec)}, ${node.poloScore}, ${flag(node.isPresent)}, ${node.presentAtSeconds},
      ${flag(node.hasSigned)}, ${flag(node.hasBoundRotation)}, ${flag(node.hasBoundHeartbeat)},
      ${NodeKeys.encode(node.keys)})
    ON CONFLICT (id) DO UPDATE SET public_key = excluded.public_key, owner_text = excluded.owner_text,
      endpoint = excluded.endpoint, lan_addresses = excluded.lan_addresses, hostname = excluded.hostname,
      tags = excluded.tags, is_public = excluded.is_public, task_exec = excluded.task_exec,
      polo_score = excluded.polo_score, is_present = excluded.is_present, present_at = excluded.present_at,
      has_signed = excluded.has_signed, has_bound_rotation = excluded.has_bound_rotation,
      has_bound_heartbeat = excluded.has_bound_heartbeat, node_keys = excluded.node_keys`

const toRecord = (row: typeof NodeRow.Type): NodeRecord => {
  const keys = NodeKeys.decode(row.node_keys)
  return { ...plainRecord(row), ...(keys !== undefined && { keys }) }
}

const plainRecord = (row: typeof NodeRow.Type): NodeRecord => ({
  id: NodeId(row.id),
  publicKey: row.public_key,
  owner: row.owner_text,
  endpoint: row.endpoint,
  lanAddresses: row.lan_addresses,
  hostname: row.hostname,
  tags: row.tags,
  isPublic: row.is_public === 1,
  taskExec: row.task_exec === 1,
  poloScore: row.polo_score,
  isPresent: row.is_present === 1,
  presentAtSeconds: row.present_at,
  hasSigned: row.has_signed === 1,
  hasBoundRotation: row.has_bound_rotation === 1,
  hasBoundHeartbeat: row.has_bound_heartbeat === 1
})

const flag = (value: boolean): number => (value ? 1 : 0)

const Texts = Schema.fromJsonString(Schema.Array(Schema.String))
const NodeRow = Schema.Struct({
  id: SqlInt,
  public_key: Schema.Uint8ArrayFromBase64,
  owner_text: Schema.String,
  endpoint: Schema.String,
  lan_addresses: Texts,
  hostname: Schema.String,
  tags: Texts,
  is_public: SqlInt,
  task_exec: SqlInt,
  polo_score: SqlInt,
  is_present: SqlInt,
  present_at: SqlInt,
  has_signed: SqlInt,
  has_bound_rotation: SqlInt,
  has_bound_heartbeat: SqlInt,
  node_keys: Schema.String
})
const decodeNodes = Schema.decodeUnknownEffect(Schema.Array(NodeRow))
const decodeTrust = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ from_id: SqlInt, to_id: SqlInt })))
const decodeRequests = Schema.decodeUnknownEffect(
  Schema.Array(
    Schema.Struct({
      target_id: SqlInt,
      from_id: SqlInt,
      justification: Schema.String,
      requested_at: SqlInt,
      is_delivered: SqlInt
    })
  )
)
const decodeResponses = Schema.decodeUnknownEffect(
  Schema.Array(
    Schema.Struct({
      requester_id: SqlInt,
      from_id: SqlInt,
      is_accept: SqlInt,
      responded_at: SqlInt
    })
  )
)
const decodeCards = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ node_id: SqlInt, service: Schema.String, signed_card: Schema.String }))
)
/** Each released step never changes; the next one is appended. */
const MIGRATIONS = [
  { id: 1, name: "registry_rows", migrate: createTables },
  { id: 2, name: "registry_cards", migrate: createCards },
  { id: 3, name: "registry_node_keys", migrate: addKeys }
]
