/** MCP over HTTP: event streams, the headers that repeat a body, and what a tool wants repeated. */
import { Result } from "effect"
import * as SseEvents from "../../../src/actors/mcp/server/SseEvents.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as EventLog from "../../../src/protocol/mcp/EventLog.ts"
import * as HeaderText from "../../../src/protocol/mcp/HeaderText.ts"
import * as ParamHeaders from "../../../src/protocol/mcp/ParamHeaders.ts"
import * as Corpus from "../Corpus.ts"
import * as Fuzzer from "../Fuzzer.ts"
import { assertSame, chunks } from "../Oracle.ts"
import type { Random } from "../Random.ts"

/** The cuts of a stream change neither its events nor whether it breaks. */
const events = (bytes: Uint8Array, next: Random): unknown => {
  const whole = new SseEvents.Splitter().push(Bytes.copy(bytes))
  const splitter = new SseEvents.Splitter()
  const parts = chunks(bytes, next).map((chunk) => splitter.push(chunk))
  assertSame(parts.some(Result.isFailure), Result.isFailure(whole), "the cuts of a stream change whether it breaks")
  if (Result.isFailure(whole)) return whole.failure.reason
  assertSame(parts.flatMap(Result.getOrThrow), whole.success, "the cuts of a stream change its events")
  return whole.success
}

/** What a header says is said again by the header made of it. */
const header = (bytes: Uint8Array): unknown => {
  const value = HeaderText.decode(Bytes.toUtf8Lossy(bytes))
  if (value !== undefined) assertSame(HeaderText.decode(HeaderText.encode(value)), value, "it is not said again")
  return value
}

/** A schema, taken as the arguments too. */
const params = (bytes: Uint8Array): unknown => {
  const value = Json.parse(Bytes.toUtf8Lossy(bytes))
  const found = ParamHeaders.annotations(value)
  return [found.length, Json.isObject(value) ? ParamHeaders.headers(found, value) : {}]
}

const SCHEMA = { properties: { a: { type: "string", "x-mcp-header": "A", properties: {} }, type: "x" }, a: "é" }

/** Every format of this file. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Fuzzer.decoder({
    name: "mcp/SseEvents",
    covers: [SseEvents.Splitter],
    samples: () =>
      Corpus.texts(
        "id: a\ndata: \n\n",
        "retry: 1\n\n",
        ": comment\r\nevent: x\r\nid: 1-2\r\ndata: {\r\ndata: é}\r\n\r\ndata: 2\n\n"
      ),
    decode: events
  }),
  Fuzzer.decoder({
    name: "mcp/HeaderText",
    covers: [HeaderText.decode],
    samples: () => Corpus.texts("=?base64?aMOp?=", "plain", "=?base64??="),
    decode: header
  }),
  Fuzzer.decoder({
    name: "mcp/EventLog",
    covers: [EventLog.parseId],
    samples: () => Corpus.texts("0-1", "12-345"),
    decode: (bytes) => EventLog.parseId(Bytes.toUtf8Lossy(bytes))
  }),
  Fuzzer.decoder({
    name: "mcp/ParamHeaders",
    covers: [ParamHeaders.annotations],
    format: "json",
    samples: () => Corpus.jsons(SCHEMA),
    decode: params
  })
]
