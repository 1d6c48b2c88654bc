/**
 * A question of ours over the open session of a client, for people who want to know whether a mount works: the server is asked
 * for its tools on the way that the client's calls take, and no other server is started for it. Nothing is asked unless
 * somebody wants to know.
 *
 * Stands between a client and its `ShimSession`; answers to our questions end here.
 */
import { Clock, Deferred, Effect, Result, Semaphore } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as Era from "../../../protocol/mcp/Era.ts"
import * as PlainText from "../../../protocol/mcp/PlainText.ts"
import * as RawRpc from "../../../protocol/relay/era/RawRpc.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import { AS_OF } from "../../../protocol/relay/KnownAnswers.ts"
import type { Line } from "../../../protocol/relay/LineSplitter.ts"
import * as ToolFilter from "../../../protocol/relay/ToolFilter.ts"
import type { Sign } from "../MountControl.ts"
import type { ShimSession } from "./ShimSession.ts"

/** One client's. */
export interface SignOfLife<E> {
  /** The client as the session writes to it, one message and a newline at a time. */
  readonly client: Duplex<E>
  /** The session as the client's side uses it. */
  readonly watch: (session: ShimSession) => ShimSession
  /** Asks now; undefined while the client has not opened the server. */
  readonly ask: Effect.Effect<Sign | undefined>
  /** What the last question gave. */
  readonly last: () => Sign | undefined
}

/** Nothing was asked yet; `opened` says in which era the client has opened the server already, if it has. */
export const make = Effect.fnUntraced(function* <E>(
  client: Duplex<E>,
  opened?: Era.Era["kind"]
): Effect.fn.Return<SignOfLife<E>> {
  const clock = yield* Clock.Clock
  const asking = yield* Semaphore.make(1)
  const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
  const waiting = new Map<string, Deferred.Deferred<Uint8Array>>()
  let kind = opened
  let session: ShimSession | undefined
  let asked = 0
  let last: Sign | undefined

  /** What the client's messages say of the session, until it is open. */
  const note = (line: Line): void => {
    const envelope = line._tag === "Whole" ? Result.getOrUndefined(JsonRpcPeek.peek(line.bytes)) : undefined
    if (envelope?._tag === "Notification" && envelope.method === "notifications/initialized") kind = "legacy"
    if (line._tag === "Whole" && envelope?._tag === "Request" && isModern(line.bytes)) kind = "modern"
  }

  const question = Effect.gen(function* () {
    if (session === undefined || kind === undefined) return undefined
    const id = `"${OURS}${++asked}"`
    const beganAtMs = nowMs()
    const found = (verdict: Sign["verdict"], tools: number, reason: string): Sign => ({
      ...{ verdict, tools, reason },
      tookMs: nowMs() - beganAtMs,
      atMs: clock.currentTimeMillisUnsafe()
    })
    if (waiting.size >= WAITING_MAX) return found("failing", 0, "earlier questions were not answered")
    const done = yield* Deferred.make<Uint8Array>()
    waiting.set(RawRpc.idKey(id), done)
    const bytes = Bytes.fromUtf8(`{"jsonrpc":"2.0","id":${id},"method":"tools/list","params":${PARAMS[kind]}}`)
    // A server that takes nothing leaves no room for it, and that is no sign of life either.
    const answer = yield* session
      .fromClient({ _tag: "Whole", bytes })
      .pipe(Effect.andThen(Deferred.await(done)), Effect.timeoutOption(ANSWER_TIMEOUT_MS))
    return answer._tag === "None"
      ? found("failing", 0, `no answer within ${ANSWER_TIMEOUT_MS / 1000} s`)
      : found(...judged(answer.value))
  })

  return {
    client: {
      ...client,
      write: (message) => {
        const done = waiting.size === 0 ? undefined : takeOf(waiting, message)
        return done === undefined ? client.write(message) : Effect.asVoid(Deferred.succeed(done, message))
      }
    },
    watch: (watched) => {
      session = watched
      return {
        ...watched,
        fromClient: (line) => {
          if (kind === undefined) note(line)
          return watched.fromClient(line)
        }
      }
    },
    ask: asking.withPermit(
      Effect.tap(question, (sign) =>
        Effect.sync(() => {
          last = sign ?? last
        })
      )
    ),
    last: () => last
  }
})

/** The question that a message answers, which is then answered. */
const takeOf = (waiting: Map<string, Deferred.Deferred<Uint8Array>>, message: Uint8Array) => {
  const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message.subarray(0, -1)))
  if (envelope?._tag !== "Response") return undefined
  const key = RawRpc.idKey(envelope.id)
  const done = waiting.get(key)
  waiting.delete(key)
  return done
}

/** What an answer says. */
const judged = (message: Uint8Array): [verdict: Sign["verdict"], tools: number, reason: string] => {
  const code = JsonRpcPeek.member(message, ["error", "code"])
  if (code === METHOD_NOT_FOUND) return ["no-tools", 0, "the server offers no tools"]
  if (code !== undefined) {
    const reason = JsonRpcPeek.string(message, ["error", "message"]) ?? ""
    return ["failing", 0, PlainText.line(reason, REASON_CHARACTERS_MAX)]
  }
  // A list from memory says nothing of the server.
  const asOf = JsonRpcPeek.string(message, ["result", "_meta", AS_OF])
  if (asOf !== undefined) return ["failing", 0, `it cannot be reached; clients are shown its tools as of ${asOf}`]
  const tools = ToolFilter.listed(message).length
  return tools === 0 ? ["no-tools", 0, "the server lists no tools"] : ["healthy", tools, ""]
}

const isModern = (bytes: Uint8Array): boolean =>
  JsonRpcPeek.member(bytes, ["params", "_meta", "io.modelcontextprotocol/protocolVersion"]) !== undefined

const PARAMS = {
  legacy: "{}",
  modern: JSON.stringify({
    _meta: {
      "io.modelcontextprotocol/protocolVersion": Era.MODERN,
      "io.modelcontextprotocol/clientCapabilities": {}
    }
  })
} as const
/** How ids of our own questions begin. */
const OURS = "effect-pilot/sign-"
const METHOD_NOT_FOUND = "-32601"
/** Less than a command waits for a mount. */
const ANSWER_TIMEOUT_MS = 5000
/** Questions without an answer; late ones must still be known as ours. */
const WAITING_MAX = 16
const REASON_CHARACTERS_MAX = 400
