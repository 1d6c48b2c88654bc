/** Calls of one client that an identical one of before answers (mcp §6.7), in the place of the server. */
import { Deferred, Effect, type Scope } from "effect"
import * as JsonSplice from "../../../protocol/relay/JsonSplice.ts"
import type * as CallLedger from "../CallLedger.ts"
import type { CallGate } from "../keeper/CallGate.ts"
import type { SessionAsking } from "../keeper/SessionAsking.ts"
import type { Attached, SessionParking } from "../keeper/SessionParking.ts"
import type { CallDeadlines } from "./CallDeadlines.ts"

/** What it needs of the session. */
export interface Options {
  readonly gate: CallGate
  readonly parking: SessionParking
  readonly deadlines: CallDeadlines
  readonly asking: SessionAsking
  readonly toClient: (message: Uint8Array) => Effect.Effect<void>
  /** Makes a call after all. */
  readonly send: (message: Uint8Array, origin: CallLedger.Origin) => Effect.Effect<unknown>
  readonly scope: Scope.Scope
}

/** True if an identical call of before has the answer, or will have it; `key` says what is asked for. */
export const answers = (
  options: Options,
  message: Uint8Array,
  request: CallLedger.Request,
  key: string,
  origin: CallLedger.Origin
): Effect.Effect<boolean> => {
  const { asking, deadlines, gate, parking, scope } = options
  const found = parking.find(request.id, key)
  if (found === undefined) return Effect.succeed(false)
  asking.passed(request.id)
  const mark = gate.started(message, [request], origin)
  if ("result" in found) return Effect.as(answer(options, found.result, request.id, mark), true)
  deadlines.started(mark)
  const attached = { parked: found.parked, mark }
  parking.attach(request.id, attached)
  return Effect.as(Effect.forkIn(wait(options, message.slice(), request.id, attached), scope), true)
}

/** Waits for a call of an earlier session; if nothing comes of that, this one is made after all. */
const wait = (options: Options, message: Uint8Array, id: string, attached: Attached): Effect.Effect<void> =>
  Effect.flatMap(Deferred.await(attached.parked.done), (result) => {
    if (!options.parking.detach(id, attached)) return Effect.void
    if (result !== undefined) return answer(options, result, id, attached.mark)
    const origin = options.gate.ended(attached.mark, "resent")
    return origin === undefined ? Effect.void : Effect.asVoid(options.send(message, origin))
  })

const answer = ({ gate, toClient }: Options, result: Uint8Array, id: string, mark: number): Effect.Effect<void> => {
  const message = JsonSplice.replace(result, ["id"], id)
  gate.ended(mark, "answered", message)
  return toClient(message)
}
