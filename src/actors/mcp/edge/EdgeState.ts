/**
 * An edge's share of a `SessionRecord` (mcp §6.5): the client's event streams with what they last said, and the requests
 * that wait on them, as parts and runs, and back. What cannot be read is no session; the client then begins anew.
 */
import { Result, Schema } from "effect"
import type { Part, Run, Saved, Snapshot } from "../../../core/storage/StateFile.ts"
import * as EventLog from "../../../protocol/mcp/EventLog.ts"
import * as EventStream from "./EventStream.ts"

/** A request that waits for its answer; its id is its key. */
export interface Waiting {
  readonly stream: EventStream.EventStream
  readonly method: string
  /** Raw JSON text. */
  readonly token: string | undefined
}

/** What a session knows. Stream 0 is the one of no request. */
export interface Edge {
  readonly revision: string | undefined
  readonly nextStream: number
  readonly streams: ReadonlyMap<number, EventStream.EventStream>
  /** By raw id. */
  readonly waiting: ReadonlyMap<string, Waiting>
}

/** Everything, as it is now. */
export const snapshot = ({ nextStream, revision, streams, waiting }: Edge): Snapshot => {
  const edge = JSON.stringify({ revision, nextStream, seen: streams.get(0)?.sent ?? 0 })
  const parts: Array<Part> = [{ name: "edge", ref: edge, encode: () => ({ note: edge }) }]
  const runs: Array<Run> = []
  for (const { id, isDone, log } of streams.values()) {
    parts.push({ name: `stream/${id}`, ref: isDone, encode: () => ({ note: JSON.stringify({ isDone }) }) })
    const encode = (seq: number) => ({ note: "", data: log.at(seq)?.data })
    runs.push({ name: `events/${id}`, first: log.firstSeq, last: log.lastSeq, encode })
  }
  for (const [id, wait] of waiting) {
    const { method, stream, token } = wait
    const encode = () => ({ note: JSON.stringify({ method, token, stream: stream.id }) })
    parts.push({ name: `waits/${id}`, ref: wait, encode })
  }
  return { parts, runs }
}

/** The session that was kept, if its state is whole. */
export const restore = ({ parts, runs }: Saved): Edge | undefined => {
  const read = <A>(prefix: string, decode: (text: string) => Result.Result<A, unknown>) =>
    parts.flatMap(({ name, note }) => {
      const value = name.startsWith(prefix) ? Result.getOrUndefined(decode(note)) : undefined
      return value === undefined ? [] : [[name.slice(prefix.length), value] as const]
    })
  const [edge] = read("edge", decodeEdge).map(([, value]) => value)
  if (edge === undefined) return undefined
  const streams = new Map<number, EventStream.EventStream>()
  for (const [name, { isDone }] of read("stream/", decodeStream)) {
    const entries = runs.get(`events/${name}`) ?? []
    const events = entries.flatMap(({ data, number }) => (data === undefined ? [] : [{ seq: number, data }]))
    streams.set(Number(name), EventStream.make(Number(name), new EventLog.EventLog(events), isDone))
  }
  const common = streams.get(0)
  if (common === undefined) return undefined
  common.sent = edge.seen
  const waiting = new Map<string, Waiting>()
  for (const [id, { method, stream: at, token }] of read("waits/", decodeWait)) {
    const stream = streams.get(at)
    if (stream === undefined) return undefined
    stream.unanswered++
    waiting.set(id, { stream, method, token })
  }
  return { revision: edge.revision, nextStream: edge.nextStream, streams, waiting }
}

/** Raw ids of the requests that the edge waits for, but its shim does not: it was killed between the two. */
export const orphans = ({ parts }: Saved): ReadonlyArray<string> => {
  const names = new Set(parts.map(({ name }) => name))
  return parts.flatMap(({ name }) =>
    name.startsWith("waits/") && !names.has(`call/${name.slice(6)}`) ? [name.slice(6)] : []
  )
}

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const EdgeNote = Schema.Struct({
  revision: Schema.optionalKey(Schema.String),
  nextStream: Count,
  seen: Count
})
const StreamNote = Schema.Struct({ isDone: Schema.Boolean })
const WaitNote = Schema.Struct({ method: Schema.String, token: Schema.optionalKey(Schema.String), stream: Count })
const decodeEdge = Schema.decodeResult(Schema.fromJsonString(EdgeNote))
const decodeStream = Schema.decodeResult(Schema.fromJsonString(StreamNote))
const decodeWait = Schema.decodeResult(Schema.fromJsonString(WaitNote))
