/**
 * An MCP server behind a URL in the place of a child process (mcp §6.4): the same lines in and out, so that keeper,
 * sessions and relay know no difference. A legacy server gets one HTTP session per client, with its own event stream; a
 * server that has forgotten the session counts as a child that died. A modern server gets one request per message. One that
 * refuses to be opened so is tried with HTTP+SSE, the transport of 2024-11-05.
 *
 * Owns the HTTP session and one fiber per unanswered request; told of messages by its `RunningChild`. The end of its
 * scope ends the requests, then the session.
 */
import { type Cause, Deferred, Effect, Fiber, Queue, Result, Schedule, Scope } from "effect"
import type { HttpClient } from "effect/http"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import { REISSUES_MAX } from "../../../protocol/relay/InFlight.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import { type Line, LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import type { Child } from "./Child.ts"
import * as HttpCall from "./HttpCall.ts"
import * as HttpExchange from "./HttpExchange.ts"
import { ModernHeaders } from "./ModernHeaders.ts"
import * as SseUpstream from "./SseUpstream.ts"

/** Which server, and for whom its failures are named. */
export interface Options {
  readonly client: HttpClient.HttpClient
  readonly service: string
  /** How this host is called in errors. */
  readonly self: string
  readonly url: string
  /** Sent with every request; what the owner configured, credentials included. */
  readonly headers: Readonly<Record<string, string>>
  /** Headers that say who calls; none unless the owner wants that. */
  readonly caller: () => Readonly<Record<string, string>>
  /** Whether a message may be posted again when the server was lost with it (mcp §6.3). */
  readonly mayRepeat: (message: Uint8Array, envelope: JsonRpcPeek.Envelope) => boolean
}

/** A session that has not sent anything yet. */
export const open = Effect.fn("HttpUpstream.open")(function* (
  options: Options
): Effect.fn.Return<Child, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const output = yield* Queue.bounded<Uint8Array, Cause.Done>(OUTPUT_MAX)
  const exited = yield* Deferred.make<string>()
  const modern = new ModernHeaders()
  const notes: Array<string> = []
  const unsent: Array<Uint8Array> = []
  const running = new Map<string, Fiber.Fiber<void>>()
  const place: HttpExchange.Place = { url: options.url, headers: options.headers, caller: options.caller }
  /** Headers of a legacy session, once it is open. */
  let legacy: Record<string, string> | undefined
  let isLegacy = false
  /** Of a server that speaks the transport of 2024-11-05 only. */
  let sse: SseUpstream.SseUpstream | undefined

  const note = (text: string) => {
    notes.push(text)
    if (notes.length > NOTES_MAX) notes.shift()
  }
  const emit = (message: Uint8Array) => Effect.asVoid(Queue.offer(output, Bytes.concat(message, NEWLINE)))
  const session: HttpCall.Session = {
    client: options.client,
    place,
    headers: () => legacy ?? {},
    emit: (message) => {
      if (isLegacy && legacy?.["mcp-protocol-version"] === undefined) learnRevision(message)
      if (!isLegacy) modern.received(message)
      return emit(message)
    }
  }

  const learnRevision = (message: Uint8Array) => {
    const revision = JsonRpcPeek.string(message, ["result", "protocolVersion"])
    if (revision !== undefined) legacy = { ...legacy, "mcp-protocol-version": revision }
  }

  /** The server forgot the session, or ended it: nothing more comes from it. */
  const die = (why: string) =>
    Effect.gen(function* () {
      legacy = undefined
      yield* Deferred.succeed(exited, why)
      yield* Queue.end(output)
    })

  const refuse = (waiting: Set<string>, failed: HttpExchange.HttpFailed, isHarmless: boolean) =>
    Effect.gen(function* () {
      note(failed.detail)
      yield* Effect.logWarning(`mcp ${options.service}: ${failed.detail}`)
      for (const id of waiting) yield* emit(BridgeError.encode(errorOf(options, failed, isHarmless), id))
    })

  const forgotten = (message: Uint8Array, waiting: Set<string>) => {
    if (waiting.size > 0) unsent.push(message)
    return die(FORGOTTEN)
  }

  /** Sends a message to a server of the older transport, which is opened if that has not been done. */
  const postSse = Effect.fnUntraced(function* (message: Uint8Array) {
    sse ??= yield* Scope.provide(
      SseUpstream.open({
        client: options.client,
        place,
        emit,
        ended: die
      }),
      scope
    )
    yield* sse.post(message)
  })

  const post = Effect.fnUntraced(function* (message: Uint8Array, envelope: JsonRpcPeek.Envelope) {
    const requests = JsonRpcPeek.requests(envelope)
    const waiting = new Set(requests.map(({ id }) => id))
    const isOpening = requests.some(({ method }) => method === "initialize")
    if (isOpening) {
      isLegacy = true
      legacy = undefined
    }
    const accepted = yield* Deferred.make<void>()
    const call: HttpCall.Call = {
      body: message,
      headers: isLegacy ? {} : modern.of(message, envelope),
      waiting,
      canResume: isLegacy,
      accepted: (response) =>
        Effect.suspend(() => {
          const id = response.headers["mcp-session-id"]
          if (isOpening && id !== undefined) legacy = { "mcp-session-id": id }
          return Deferred.succeed(accepted, undefined)
        })
    }
    const isHarmless = requests.every(({ method }) => BridgeError.isHarmlessTwice(method))
    const repeats = options.mayRepeat(message, envelope)
    const streaming = HttpCall.post(session, call).pipe(
      Effect.scoped,
      Effect.catchTag("HttpFailed", (failed) =>
        isOpening && SseUpstream.mayBe(failed)
          ? Effect.mapError(postSse(message), (other) => (other._tag === "HttpFailed" ? both(failed, other) : other))
          : Effect.fail(failed)
      )
    )
    const posting = (sse === undefined ? streaming : postSse(message)).pipe(
      Effect.retry({ schedule: REPEAT, times: REISSUES_MAX, while: (failed) => repeats && isLoss(failed) }),
      Effect.catchTag("HttpFailed", (failed) => refuse(waiting, failed, isHarmless)),
      Effect.catchTag("SessionLost", () => forgotten(message, waiting)),
      Effect.ensuring(Deferred.succeed(accepted, undefined))
    )
    // What opens a session, and what a client says in passing, arrives before anything that follows it.
    if (requests.length === 0) {
      const taken = yield* Effect.timeoutOption(posting, TOLD_TIMEOUT)
      if (taken._tag === "None") note("it did not answer a message that asks nothing")
      const isReady = envelope._tag === "Notification" && envelope.method === "notifications/initialized"
      if (isReady && legacy !== undefined && sse === undefined) yield* Effect.forkIn(listenAll, scope)
      return
    }
    const fiber = yield* Effect.forkIn(posting, scope, { startImmediately: true })
    for (const { id } of requests) running.set(id, fiber)
    fiber.addObserver(() => {
      for (const { id } of requests) if (running.get(id) === fiber) running.delete(id)
    })
    if (isOpening) yield* Deferred.await(accepted)
  })

  /** The stream for messages that belong to no request, for as long as the session lasts. */
  const listenAll = Effect.gen(function* () {
    const position: HttpCall.Position = { lastEventId: undefined, retryMs: undefined }
    let failures = 0
    while (legacy !== undefined) {
      const outcome = yield* Effect.scoped(
        Effect.flatMap(HttpCall.listen(session, position.lastEventId), (response) => {
          failures = 0
          return HttpCall.follow(response, position, session.emit)
        })
      ).pipe(Effect.result)
      if (Result.isFailure(outcome)) {
        if (outcome.failure._tag === "SessionLost") return yield* die(FORGOTTEN)
        // Servers need not offer the stream.
        if (!outcome.failure.delivered && !outcome.failure.retryable) return
      }
      yield* Effect.sleep(Math.max(position.retryMs ?? 0, Math.min(RELISTEN_MAX_MS, RELISTEN_MS * 2 ** failures++)))
    }
  })

  const dispatch = (line: Line): Effect.Effect<void> => {
    if (line._tag === "Oversized") return Effect.sync(() => note(`dropped a message of ${line.sizeBytes} bytes`))
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(line.bytes))
    if (envelope === undefined) return Effect.void
    const isRequest = JsonRpcPeek.requests(envelope).length > 0
    if (isLegacy || isRequest) return post(line.bytes, envelope)
    // Modern: no notification goes from client to server; cancelling is the end of the request (mcp §1.1).
    const cancelled = envelope._tag === "Notification" ? envelope.cancels : undefined
    const fiber = cancelled === undefined ? undefined : running.get(cancelled)
    return fiber === undefined ? Effect.void : Effect.asVoid(Fiber.interrupt(fiber))
  }

  // Runs after the requests are interrupted, because they were forked into the scope later.
  yield* Effect.addFinalizer(() => {
    if (legacy?.["mcp-session-id"] === undefined) return Effect.void
    return HttpExchange.send(options.client, place, { method: "DELETE", headers: legacy }).pipe(
      Effect.scoped,
      Effect.timeoutOption(DELETE_TIMEOUT),
      Effect.ignore
    )
  })
  const lines = new LineSplitter(MESSAGE_BYTES_MAX)
  return {
    pid: undefined,
    stdio: {
      read: Queue.take(output),
      write: (bytes) => Effect.forEach(lines.push(bytes), dispatch, { discard: true }),
      end: Effect.void
    },
    exited: Deferred.await(exited),
    stderrTail: Effect.sync(() => [...notes]),
    unsent: () => unsent
  }
})

const errorOf = (
  { self, service }: Options,
  { delivered, kind, retryable }: HttpExchange.HttpFailed,
  isHarmless: boolean
): BridgeError.BridgeError => ({
  kind,
  message: messageOf(kind, `The server ${service} on ${self}`, isHarmless),
  delivered,
  retryable: retryable || (kind === "outcomeUnknown" && isHarmless),
  service,
  peer: self
})

/** What the client reads; what the server said stays with its owner (mcp §8, rule 12). */
const messageOf = (kind: HttpExchange.HttpFailed["kind"], server: string, isHarmless: boolean): string => {
  switch (kind) {
    case "unreachable":
      return `${server} does not answer. Its owner finds the reason with: pilotctl mcp status`
    case "credentials":
      return `${server} refuses the credentials that its owner configured. Its owner can renew them with: pilotctl mcp expose`
    case "tooLarge":
      return `${server} and this request do not fit each other: one of the messages is too large. Ask for less at a time.`
    case "overloaded":
      return `${server} is too busy. Try again later.`
    case "outcomeUnknown": {
      const advice = isHarmless ? "Trying again is safe." : "Find out whether it was carried out before trying again."
      return `${server} was lost during this request. ${advice}`
    }
  }
}

/** Neither transport works; the owner reads why. */
const both = ({ delivered, detail, kind, retryable }: HttpExchange.HttpFailed, other: HttpExchange.HttpFailed) =>
  new HttpExchange.HttpFailed({ kind, detail: `${detail}; as HTTP+SSE, ${other.detail}`, delivered, retryable })

/** The server may be back in a moment, and the request was not refused by it. */
const isLoss = (failed: HttpExchange.HttpFailed | HttpExchange.SessionLost): boolean =>
  failed._tag === "HttpFailed" &&
  (failed.kind === "outcomeUnknown" || (failed.kind === "unreachable" && failed.retryable))

const FORGOTTEN = "its session is not known to the server any more"
const REPEAT = Schedule.exponential("500 millis", 3)
const NEWLINE = Uint8Array.of(0x0a)
/** Messages of the server that wait for the relay; then its streams are not read. */
const OUTPUT_MAX = 64
const NOTES_MAX = 50
const RELISTEN_MS = 1000
const RELISTEN_MAX_MS = 30_000
/** What asks nothing is answered at once, or holds up all that follows it. */
const TOLD_TIMEOUT = "30 seconds"
const DELETE_TIMEOUT = "2 seconds"
