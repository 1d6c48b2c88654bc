/**
 * What a durable task cannot do without: a row that is inserted and later updated, each in a commit that is on disk, one after the
 * other on one connection.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/** Rows inserted and updated per second, on the engine of the surrounding client. */
export const perSecond = Effect.fnUntraced(function* (rows: number) {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE bare (id VARCHAR(64) PRIMARY KEY, body TEXT NOT NULL)`
  const startMs = performance.now()
  for (let index = 0; index < rows; index++) {
    yield* sql`INSERT INTO bare (id, body) VALUES (${`t${index}`}, ${BODY})`
    yield* sql`UPDATE bare SET body = ${BODY} WHERE id = ${`t${index}`}`
  }
  return (1_000 * rows) / (performance.now() - startMs)
})

/** As long as the record of a task. */
const BODY = "x".repeat(700)
