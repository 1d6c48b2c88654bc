/**
 * Modern requests of HTTP clients (mcp §2.4, §6.4): they belong to no session, so all of them share one relay session and
 * one server. Each request travels under an id of our own, and so do its progress token and its subscription; what comes
 * back carries the client's again. What belongs to no request is dropped, since it may be for another client.
 *
 * Owns the requests that wait, and the relay session, which starts with the first and ends with the last of a server that
 * turns out to be a legacy one. A client that goes away cancels its request (mcp §1.1).
 */
import { type Cause, Effect, Exit, Queue, Result, Scope } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as BridgeReplies from "../../../protocol/relay/BridgeReplies.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as JsonSplice from "../../../protocol/relay/JsonSplice.ts"
import { LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import type { Target } from "../Target.ts"

/** Notifications of a request, then its answer, then the end. */
export type Messages = Queue.Dequeue<Uint8Array, Cause.Done>

/** All modern requests of one endpoint. */
export interface EdgeExchange {
  /** Sends a request; undefined when too many wait. The end of the scope cancels it if it still waits. */
  readonly ask: (
    message: Uint8Array,
    request: Extract<JsonRpcPeek.Envelope, { _tag: "Request" }>
  ) => Effect.Effect<Messages | undefined, never, Scope.Scope>
}

/** No relay session yet; `connect` opens one whose messages are lines. */
export const make = Effect.fnUntraced(function* (
  connect: Effect.Effect<Duplex, never, Scope.Scope>,
  target: Target
): Effect.fn.Return<EdgeExchange, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const waiting = new Map<string, Waiting>()
  let link: Link | undefined
  let count = 0

  const receive = Effect.fnUntraced(function* (from: Link, message: Uint8Array) {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    if (envelope?._tag === "Response") {
      const call = waiting.get(envelope.id)
      if (call === undefined) return
      waiting.delete(envelope.id)
      const answered = JsonSplice.replace(JsonSplice.replace(message, ["id"], call.id), RESULT_SUBSCRIPTION, call.id)
      yield* Queue.offer(call.messages, answered)
      yield* Queue.end(call.messages)
      if (call.method === "server/discover" && envelope.isError) from.isLegacy = true
      return
    }
    if (envelope?._tag === "Request") return yield* from.write(BridgeReplies.noClient(envelope.id, "modern"))
    if (envelope?._tag !== "Notification") return
    const subscription = JsonRpcPeek.member(message, SUBSCRIPTION)
    const call = waiting.get(envelope.progressToken ?? subscription ?? "")
    if (call === undefined) return
    const named = JsonSplice.replace(message, SUBSCRIPTION, call.id)
    const token = call.token === undefined ? named : JsonSplice.replace(named, ["params", "progressToken"], call.token)
    yield* Queue.offer(call.messages, token)
  })

  const open = Effect.gen(function* () {
    const own = yield* Scope.fork(scope, "sequential")
    const server = yield* Scope.provide(connect, own)
    const opened: Link = {
      isLegacy: false,
      write: (message) => Effect.ignore(server.write(Bytes.concat(message, NEWLINE))),
      close: Effect.asVoid(Effect.forkIn(Scope.close(own, Exit.void), scope))
    }
    const lines = new LineSplitter(MESSAGE_BYTES_MAX)
    yield* Effect.gen(function* () {
      while (true) {
        for (const line of lines.push(yield* server.read)) {
          if (line._tag === "Whole") yield* receive(opened, line.bytes)
        }
      }
    }).pipe(Effect.ignore, Effect.andThen(Effect.suspend(() => lost(opened))), Effect.forkIn(own))
    return opened
  })

  /** The relay session is over: whoever waits is told. */
  const lost = Effect.fnUntraced(function* (gone: Link) {
    if (link === gone) link = undefined
    for (const [number, call] of [...waiting]) {
      waiting.delete(number)
      yield* Queue.offer(call.messages, BridgeError.encode({ ...BridgeError.SESSION_ENDED, ...target }, call.id))
      yield* Queue.end(call.messages)
    }
    yield* gone.close
  })

  const leave = (from: Link, number: string) =>
    Effect.gen(function* () {
      if (waiting.delete(number)) yield* from.write(BridgeReplies.cancelled(number))
      if (!from.isLegacy || waiting.size > 0) return
      if (link === from) link = undefined
      yield* from.close
    })

  return {
    ask: Effect.fnUntraced(function* (message, { id, method, progressToken }) {
      if (waiting.size >= WAITING_MAX) return undefined
      const number = String(++count)
      const messages = yield* Queue.bounded<Uint8Array, Cause.Done>(MESSAGES_MAX)
      // Before the first pause, so that no two requests open two of them.
      waiting.set(number, { id, method, token: progressToken, messages })
      link ??= yield* open
      const current = link
      yield* Effect.addFinalizer(() => leave(current, number))
      const numbered = JsonSplice.replace(message, ["id"], number)
      yield* current.write(JsonSplice.replace(numbered, ["params", "_meta", "progressToken"], number))
      return messages
    })
  }
})

interface Waiting {
  /** Raw text, as the client sent it. */
  readonly id: string
  readonly method: string
  readonly token: string | undefined
  readonly messages: Queue.Queue<Uint8Array, Cause.Done>
}

interface Link {
  readonly write: (message: Uint8Array) => Effect.Effect<void>
  readonly close: Effect.Effect<void>
  isLegacy: boolean
}

const SUBSCRIPTION = ["params", "_meta", "io.modelcontextprotocol/subscriptionId"]
const RESULT_SUBSCRIPTION = ["result", "_meta", "io.modelcontextprotocol/subscriptionId"]
const NEWLINE = Uint8Array.of(0x0a)
/** Requests of all clients together; the relay session allows 256. */
const WAITING_MAX = 256
/** Messages of one request that wait for its client; then the server is not read. */
const MESSAGES_MAX = 256
