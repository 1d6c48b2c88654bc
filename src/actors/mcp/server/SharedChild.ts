/**
 * One server for all sessions of a service (mcp §6.4), for modern servers only, which keep nothing between requests. Each
 * session sees a child of its own; requests travel under ids of ours, and so do progress tokens and subscriptions. What
 * comes back carries the session's own again, in the JSON type they had; what belongs to no request reaches nobody.
 *
 * Owns the server, which starts with the first session, is asked whether it is modern, and stops a moment after the last.
 * A session that reads too slowly loses its child, so that it never stops the others.
 */
import { type Cause, Deferred, Effect, Exit, Queue, Result, Scope, Semaphore } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Json from "../../../core/data/Json.ts"
import * as Era from "../../../protocol/mcp/Era.ts"
import * as BridgeReplies from "../../../protocol/relay/BridgeReplies.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import { LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import { SharedIds } from "../../../protocol/relay/SharedIds.ts"
import { CannotStart, type Child, ChildGone, type TooManyStarts } from "./Child.ts"

/** The server of one service. */
export interface SharedChild {
  /** The child of one session, in the surrounding scope, whose end cancels what it still waits for. */
  readonly join: Effect.Effect<Child, CannotStart | TooManyStarts, Scope.Scope>
}

/** Not started yet; `start` starts the server. */
export const make = Effect.fnUntraced(function* (
  start: Effect.Effect<Child, CannotStart | TooManyStarts, Scope.Scope>
): Effect.fn.Return<SharedChild, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const starting = yield* Semaphore.make(1)
  let server: Server | undefined
  let sessions = 0

  const begin = Effect.gen(function* () {
    const own = yield* Scope.fork(scope, "sequential")
    return yield* Effect.gen(function* () {
      const child = yield* start
      const ready = yield* Deferred.make<boolean>()
      const started: Server = { child, own, ids: new SharedIds(), members: new Map(), isGone: false }
      yield* readAll(started, ready).pipe(
        Effect.ignore,
        Effect.andThen(
          Effect.suspend(() => {
            started.isGone = true
            if (server === started) server = undefined
            return Effect.forEach([...started.members.values()], lose, { discard: true })
          })
        ),
        Effect.andThen(Deferred.succeed(ready, false)),
        Effect.forkScoped
      )
      yield* Effect.ignore(child.stdio.write(PROBE))
      const isModern = yield* Effect.timeoutOption(Deferred.await(ready), PROBE_TIMEOUT)
      if (isModern._tag === "Some" && isModern.value) return started
      return yield* new CannotStart({ detail: `a shared server must speak ${Era.MODERN}, and this one does not` })
    }).pipe(
      Scope.provide(own),
      Effect.onExit((exit) => (Exit.isFailure(exit) ? Scope.close(own, exit) : Effect.void))
    )
  })

  const leave = (from: Server, session: number) =>
    Effect.gen(function* () {
      from.members.delete(session)
      const dropped = from.ids.drop(session)
      const told = Effect.forEach(dropped, (id) => from.child.stdio.write(line(BridgeReplies.cancelled(id))), DISCARD)
      // By another fiber: a server that reads nothing any more would hold the session's end, and never be replaced.
      yield* Effect.forkIn(Effect.ignore(told), from.own)
      if (from.members.size > 0 || from.isGone) return
      yield* Effect.sleep(LINGER).pipe(
        Effect.andThen(
          Effect.suspend(() => {
            if (from.members.size > 0) return Effect.void
            if (server === from) server = undefined
            return Scope.close(from.own, Exit.void)
          })
        ),
        Effect.forkIn(scope)
      )
    })

  return {
    join: Effect.gen(function* () {
      const joined = yield* starting.withPermit(
        Effect.gen(function* () {
          if (server === undefined || server.isGone) server = yield* begin
          const session = ++sessions
          const member: Member = {
            output: yield* Queue.bounded<Uint8Array, Cause.Done>(OUTPUT_MAX),
            exited: yield* Deferred.make<string>()
          }
          server.members.set(session, member)
          return { server, session, member }
        })
      )
      yield* Effect.addFinalizer(() => leave(joined.server, joined.session))
      return childOf(joined.server, joined.session, joined.member)
    })
  }
})

interface Member {
  readonly output: Queue.Queue<Uint8Array, Cause.Done>
  readonly exited: Deferred.Deferred<string>
}

interface Server {
  readonly child: Child
  readonly own: Scope.Closeable
  readonly ids: SharedIds
  readonly members: Map<number, Member>
  isGone: boolean
}

const lose = ({ exited, output }: Member): Effect.Effect<void> =>
  Effect.andThen(Deferred.succeed(exited, "the shared server is gone"), Effect.asVoid(Queue.end(output)))

/** Everything the server says, each message to the session it belongs to. */
const readAll = (server: Server, ready: Deferred.Deferred<boolean>) =>
  Effect.gen(function* () {
    const lines = new LineSplitter(MESSAGE_BYTES_MAX)
    while (true) {
      for (const read of lines.push(yield* server.child.stdio.read)) {
        if (read._tag === "Whole") yield* route(server, ready, read.bytes)
      }
    }
  })

const route = (server: Server, ready: Deferred.Deferred<boolean>, message: Uint8Array): Effect.Effect<unknown> => {
  const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
  if (envelope?._tag === "Response" && envelope.id === PROBE_ID) {
    const result = Json.member(Json.parseObject(Bytes.toUtf8(message) ?? "") ?? {}, "result")
    return Deferred.succeed(ready, Json.isObject(result) && Era.ofDiscover(result) !== undefined)
  }
  // Modern servers ask nothing; one that does is told that there is nobody.
  if (envelope?._tag === "Request")
    return Effect.ignore(server.child.stdio.write(line(BridgeReplies.noClient(envelope.id, "modern"))))
  const addressed = envelope === undefined ? undefined : server.ids.toSession(message, envelope)
  const member = addressed === undefined ? undefined : server.members.get(addressed.session)
  if (addressed === undefined || member === undefined) return Effect.void
  // Waiting here would make every other session wait for this one.
  return Queue.offerUnsafe(member.output, line(addressed.message)) ? Effect.void : lose(member)
}

const childOf = (server: Server, session: number, { exited, output }: Member): Child => ({
  pid: server.child.pid,
  exited: Deferred.await(exited),
  stderrTail: server.child.stderrTail,
  stdio: {
    read: Queue.take(output),
    end: Effect.void,
    write: (bytes) => {
      const message = bytes.subarray(0, -1)
      const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
      if (server.isGone) return new ChildGone({ detail: "the shared server is gone" })
      if (envelope === undefined) return Effect.void
      const refused = refusals(message, envelope)
      if (refused !== undefined)
        return Effect.forEach(refused, (answer) => Queue.offer(output, line(answer)), { discard: true })
      const numbered = server.ids.toServer(session, message, envelope)
      return numbered === undefined ? Effect.void : server.child.stdio.write(line(numbered))
    }
  }
})

/** Answers to what only legacy clients send. */
const refusals = (message: Uint8Array, envelope: JsonRpcPeek.Envelope): ReadonlyArray<Uint8Array> | undefined => {
  if (envelope._tag === "Batch")
    return JsonRpcPeek.requests(envelope).map(({ id }) =>
      BridgeReplies.failure(id, -32600, "This revision has no batches.")
    )
  if (envelope._tag !== "Request" || envelope.method !== "initialize") return undefined
  const requested = JsonRpcPeek.string(message, ["params", "protocolVersion"]) ?? ""
  const text = `This service is shared and speaks revision ${Era.MODERN} only.`
  return [BridgeReplies.failure(envelope.id, -32022, text, { supported: [Era.MODERN], requested })]
}

const line = (message: Uint8Array): Uint8Array => Bytes.concat(message, NEWLINE)

const DISCARD = { discard: true } as const
const NEWLINE = Uint8Array.of(0x0a)
const PROBE_ID = '"effect-pilot"'
const PROBE = line(
  Bytes.fromUtf8(
    `{"jsonrpc":"2.0","id":${PROBE_ID},"method":"server/discover","params":{"_meta":{` +
      `"io.modelcontextprotocol/protocolVersion":"${Era.MODERN}","io.modelcontextprotocol/clientCapabilities":{}}}}`
  )
)
/** A server that is slow to start, such as one that is downloaded first. */
const PROBE_TIMEOUT = "30 seconds"
/** Between the last session and the server's end. */
const LINGER = "10 seconds"
/** Messages of one session that wait to be read. */
const OUTPUT_MAX = 1024
