/**
 * A shim's share of a `SessionRecord`: what another process must know to go on with the relay session (mcp §6.5), as parts
 * and runs, and back. What cannot be read is no session; the client then begins anew.
 */
import { Result, Schema } from "effect"
import type { Part, Run, Saved, Snapshot } from "../../../core/storage/StateFile.ts"
import type { Target } from "../Target.ts"
import type * as ShimEpoch from "./ShimEpoch.ts"
import type { Books, Restored } from "./ShimEpochs.ts"

/** Everything, as it is now. */
export const snapshot = ({ calls, opening, signs }: Books, epoch: ShimEpoch.State, target: Target): Snapshot => {
  const { outbox, rx } = epoch.relay.session
  const { chunkBytes, lastOrdinal, ordinal, seq } = outbox.position
  const { carriedBy, held } = epoch
  const { epoch: number, resumeKey, session } = epoch.credentials
  const state = JSON.stringify({
    ...{ session, resumeKey, epoch: number, at: { ...target } },
    ...(carriedBy && { carriedBy: { ...carriedBy } }),
    ...{ rx: Math.max(rx, epoch.takenSeq), seq, ordinal, chunkBytes, isReopening: held !== undefined }
  } satisfies typeof State.Type)
  const parts: Array<Part> = [{ name: "shim", ref: state, encode: () => ({ note: state }) }]
  const { replays, result } = opening.kept
  if (result !== undefined) parts.push({ name: "server", ref: result, encode: () => ({ note: result }) })
  for (const [key, replay] of replays) {
    const encode = () => ({ note: JSON.stringify({ id: replay.id }), data: replay.bytes })
    parts.push({ name: `replay/${key}`, ref: replay, encode })
  }
  for (const call of calls.waiting) {
    const at = Number.isFinite(call.at) ? call.at : 0
    const note = () => JSON.stringify({ method: call.method, at, lost: call.lost })
    parts.push({ name: `call/${call.id}`, ref: call, encode: () => ({ note: note(), data: call.message }) })
  }
  for (const [id, { nudges, told, token }] of signs.told) {
    const note = JSON.stringify({ token, told, nudges })
    parts.push({ name: `told/${id}`, ref: note, encode: () => ({ note }) })
  }
  const run: Run =
    held === undefined
      ? {
          name: `sent/${epoch.number}`,
          first: ordinal + 1,
          last: lastOrdinal,
          encode: (at) => ({ note: "", data: outbox.messageAt(at) })
        }
      : {
          name: `held/${epoch.number}`,
          first: 1,
          last: held.messages.length,
          encode: (at) => ({ note: String(held.messages[at - 1]?.lost ?? 0), data: held.messages[at - 1]?.bytes })
        }
  return { parts, runs: [run] }
}

/** The session that was kept for that service, if it can go on: one that was opened, and whose state is whole. */
export const restore = ({ parts, runs }: Saved): Restored | undefined => {
  const read = <A>(prefix: string, decode: (text: string) => Result.Result<A, unknown>) =>
    parts.flatMap(({ data, name, note }) => {
      const value = name.startsWith(prefix) ? Result.getOrUndefined(decode(note)) : undefined
      return value === undefined ? [] : [{ name: name.slice(prefix.length), value, data }]
    })
  const [state] = read("shim", decodeState).map(({ value }) => value)
  const server = parts.find(({ name }) => name === "server")?.note
  if (state === undefined || server === undefined) return undefined
  const entries = (prefix: string) => [...runs].flatMap(([name, run]) => (name.startsWith(prefix) ? run : []))
  const replays = read("replay/", decodeReplay).map(({ data, name, value }) => ({
    ...{ key: name, bytes: data ?? new Uint8Array(), id: value.id }
  }))
  const { at, carriedBy, epoch, resumeKey, session } = state
  return {
    credentials: { session, resumeKey, service: at.service, epoch },
    at,
    carriedBy,
    start: {
      rx: state.rx,
      outbox: {
        ...{ seq: state.seq, ordinal: state.ordinal, chunkBytes: state.chunkBytes },
        messages: entries("sent/").flatMap(({ data }) => data ?? [])
      }
    },
    calls: read("call/", decodeCall).map(({ data, name, value }) => ({ ...value, id: name, message: data })),
    told: read("told/", decodeTold).map(({ name, value }) => [name, value] as const),
    opening: { replays, result: server },
    reopening: state.isReopening
      ? entries("held/").flatMap(({ data, note }) => (data === undefined ? [] : [{ bytes: data, lost: Number(note) }]))
      : undefined
  }
}

/** The era in which its client opened the session; undefined if it has not done so to the end. */
export const eraOf = ({ opening: { replays } }: Restored): "legacy" | undefined =>
  replays.some(({ key }) => key === "notifications/initialized") ? "legacy" : undefined

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Place = Schema.Struct({ peer: Schema.String, service: Schema.String })
const State = Schema.Struct({
  session: Schema.String,
  resumeKey: Schema.String,
  epoch: Count,
  at: Place,
  carriedBy: Schema.optionalKey(Place),
  rx: Count,
  seq: Count,
  ordinal: Count,
  chunkBytes: Schema.Int.check(Schema.isGreaterThan(0)),
  isReopening: Schema.Boolean
})
const Replay = Schema.Struct({ id: Schema.optionalKey(Schema.String) })
const CallNote = Schema.Struct({ method: Schema.String, at: Count, lost: Count })
const ToldNote = Schema.Struct({ token: Schema.String, told: Schema.Finite, nudges: Count })
const decodeState = Schema.decodeResult(Schema.fromJsonString(State))
const decodeReplay = Schema.decodeResult(Schema.fromJsonString(Replay))
const decodeCall = Schema.decodeResult(Schema.fromJsonString(CallNote))
const decodeTold = Schema.decodeResult(Schema.fromJsonString(ToldNote))
