/**
 * One life of a server's child: reads what it says to the end, passes it on, and tells how it ended. What outlives the
 * child (the client's calls, the record of the opening) belongs to its `Upstream`.
 */
import { type Cause, Deferred, Effect, Option, Queue, Result, type Scope } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as BrokenMessage from "../../../protocol/relay/BrokenMessage.ts"
import { type Call, InFlight } from "../../../protocol/relay/InFlight.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import { type Line, LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import type { Opening } from "../../../protocol/relay/Opening.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import type { CallGate } from "../keeper/CallGate.ts"
import type { ServiceBreaker } from "../keeper/ServiceBreaker.ts"
import type { Child } from "./Child.ts"

/** What a running child shares with its `Upstream`. */
export interface Options {
  readonly service: string
  readonly clientBytesMax: number
  /** The failures that are answered here. */
  readonly tooLarge: BridgeError.BridgeError
  readonly overloaded: BridgeError.BridgeError
  readonly unreadable: BridgeError.BridgeError
  readonly opening: Opening
  /** The client's calls. */
  readonly calls: InFlight
  readonly gate: CallGate
  readonly breaker: ServiceBreaker
  readonly toClient: (message: Uint8Array) => Effect.Effect<void>
  /** Told what the server answered; false if the client must not see it. */
  readonly answered: (call: Call, answer: Uint8Array) => boolean
  /** Whether an answer that nobody waits for is that of a call whose time was over. */
  readonly isLate: (id: string) => boolean
  /** Told once, when the child says nothing more. */
  readonly ended: (self: RunningChild, why: string) => Effect.Effect<unknown>
}

/** A child that runs. */
export interface RunningChild {
  readonly child: Child
  /** One message; if the child is gone this does nothing, because its end is reported elsewhere. */
  readonly write: (message: Uint8Array) => Effect.Effect<void>
  /** Asks the server something of our own, under an id that no client can use; nothing if it ends before the answer. */
  readonly ask: (request: Uint8Array, id: string) => Effect.Effect<Uint8Array | undefined>
  /** False for an answer to something that this child never asked: it was meant for one before it. */
  readonly wants: (envelope: JsonRpcPeek.Envelope) => boolean
  /** Tells the child what the one before knew. `changed`: its answer is another. `gone`: none comes. */
  readonly replay: Effect.Effect<"same" | "changed" | "gone">
}

/** Starts reading, in the scope of the child. */
export const run = Effect.fnUntraced(function* (
  child: Child,
  options: Options
): Effect.fn.Return<RunningChild, never, Scope.Scope> {
  /** What the server asked of the client. */
  const asked = new InFlight()
  /** Repeated requests whose answers the client has had. */
  const replayed = new InFlight()
  /** What we asked, by id. */
  const own = new Map<string, Deferred.Deferred<Uint8Array | undefined>>()
  const initialized = yield* Deferred.make<"same" | "changed" | "gone">()
  const answers = yield* Queue.dropping<Uint8Array, Cause.Done>(ANSWERS_MAX)

  const write = (message: Uint8Array) =>
    // One write for message and newline: a message must never be followed by another's first bytes.
    Effect.ignore(child.stdio.write(Bytes.concat(message, NEWLINE)))

  /** Answers the server. Not written here, because a server that waits for its reader would never read it. */
  const answer = (reason: BridgeError.BridgeError, id: string) => Queue.offer(answers, BridgeError.encode(reason, id))

  const settle = (id: string, answer: Uint8Array): Call | undefined => {
    const call = options.calls.settle(id)
    if (call !== undefined) options.gate.ended(call.at, "answered", answer)
    return call
  }

  /** False if the client must not see the answer. */
  const isWanted = (id: string, answer: Uint8Array): boolean => {
    const call = settle(id, answer)
    return call === undefined ? !options.isLate(id) : options.answered(call, answer)
  }

  /** Whoever waits for a line that is no JSON is told, as far as the line shows whom it was for. */
  const replaceUnreadable = (bytes: Uint8Array): Effect.Effect<unknown> => {
    const broken = BrokenMessage.read(bytes)
    if (broken === undefined) return Effect.void
    if (broken.kind === "Request")
      return Effect.forEach(BrokenMessage.refusals(bytes), (line) => Queue.offer(answers, line))
    const error = BridgeError.encode(options.unreadable, broken.id)
    const call = settle(broken.id, error)
    return call !== undefined && options.answered(call, error) ? options.toClient(error) : Effect.void
  }

  const replaceOversized = (envelope: JsonRpcPeek.Envelope | undefined, sizeBytes: number) =>
    Effect.gen(function* () {
      yield* Effect.logWarning(`mcp ${options.service}: the server sent a message of ${sizeBytes} bytes; too large`)
      for (const item of envelope === undefined ? [] : JsonRpcPeek.messages(envelope)) {
        if (item._tag === "Request") yield* answer(options.tooLarge, item.id)
        if (item._tag !== "Response" || replayed.settle(item.id) !== undefined) continue
        const error = BridgeError.encode(options.tooLarge, item.id)
        if (isWanted(item.id, error)) yield* options.toClient(error)
      }
    })

  const received = (envelope: JsonRpcPeek.Envelope, bytes: Uint8Array): boolean => {
    options.opening.received(bytes, envelope)
    return true
  }

  /** What a message changes here; false if the client must not see it. */
  const note = (envelope: JsonRpcPeek.Envelope, bytes: Uint8Array): Effect.Effect<boolean> =>
    Effect.gen(function* () {
      if (envelope._tag === "Response") {
        const call = replayed.settle(envelope.id)
        if (call?.method === "initialize") {
          yield* Deferred.succeed(initialized, options.opening.isSame(bytes) ? "same" : "changed")
        }
        if (call !== undefined) return false
        const asked = own.get(envelope.id)
        if (asked !== undefined) {
          yield* Deferred.succeed(asked, bytes)
          return false
        }
        const passes = isWanted(envelope.id, bytes)
        options.breaker.answered(envelope.isError, bytes)
        return passes && received(envelope, bytes)
      }
      for (const item of JsonRpcPeek.messages(envelope)) {
        if (item._tag === "Response") {
          isWanted(item.id, bytes)
          options.breaker.answered(item.isError, bytes)
        }
        if (item._tag === "Notification" && item.cancels !== undefined) asked.cancel(item.cancels)
        if (item._tag !== "Request") continue
        if (asked.size >= ASKED_MAX) {
          yield* answer(options.overloaded, item.id)
          return false
        }
        asked.add(item.id, item.method, 0)
      }
      return received(envelope, bytes)
    })

  const receive = (line: Line): Effect.Effect<void> =>
    Effect.gen(function* () {
      if (line._tag === "Oversized") return yield* replaceOversized(line.envelope, line.sizeBytes)
      const peeked = JsonRpcPeek.peek(line.bytes)
      if (Result.isFailure(peeked)) {
        yield* Effect.logWarning(`mcp ${options.service}: dropped a line of the server: ${peeked.failure.reason}`)
        yield* replaceUnreadable(line.bytes)
        return
      }
      if (line.bytes.length > options.clientBytesMax) {
        return yield* replaceOversized(peeked.success, line.bytes.length)
      }
      if (yield* note(peeked.success, line.bytes)) {
        yield* options.toClient(options.gate.shown(line.bytes, peeked.success))
      }
    })

  const lines = new LineSplitter(MESSAGE_BYTES_MAX)
  const readAll = Effect.gen(function* () {
    while (true) for (const line of lines.push(yield* child.stdio.read)) yield* receive(line)
  }).pipe(
    Effect.ignore,
    // A program that ends need not end its last line.
    Effect.andThen(
      Effect.suspend(() => {
        const last = lines.finish()
        return last === undefined ? Effect.void : receive(last)
      })
    )
  )

  const self: RunningChild = {
    child,
    write,
    ask: (request, id) =>
      Effect.gen(function* () {
        const answer = yield* Deferred.make<Uint8Array | undefined>()
        own.set(id, answer)
        yield* write(request)
        return yield* Deferred.await(answer)
      }).pipe(Effect.ensuring(Effect.sync(() => own.delete(id)))),
    wants: (envelope) => envelope._tag !== "Response" || asked.settle(envelope.id) !== undefined,
    replay: Effect.gen(function* () {
      for (const { bytes, id } of options.opening.replays) {
        const envelope = Result.getOrUndefined(JsonRpcPeek.peek(bytes))
        if (id !== undefined && envelope?._tag === "Request") replayed.add(id, envelope.method, 0)
        yield* write(bytes)
        // Nothing may follow `initialize` before its answer.
        if (envelope?._tag === "Request" && envelope.method === "initialize") {
          const answered = yield* Effect.timeoutOption(Deferred.await(initialized), REPLAY_TIMEOUT)
          const outcome = Option.getOrElse(answered, () => "gone" as const)
          if (outcome !== "same") return outcome
        }
      }
      return "same"
    })
  }
  yield* Queue.take(answers).pipe(Effect.flatMap(write), Effect.forever, Effect.ignore, Effect.forkScoped)
  yield* readAll.pipe(
    Effect.andThen(Effect.timeoutOption(child.exited, EXIT_GRACE)),
    Effect.flatMap((exit) =>
      Effect.gen(function* () {
        yield* Deferred.succeed(initialized, "gone")
        for (const answer of own.values()) yield* Deferred.succeed(answer, undefined)
        const tail = yield* child.stderrTail
        const last = tail.slice(-STDERR_LINES_LOGGED).join("\n")
        yield* options.ended(self, `${exit._tag === "Some" ? exit.value : "it closed its output"}\n${last}`.trimEnd())
      })
    ),
    Effect.forkScoped
  )
  return self
})

const NEWLINE = Uint8Array.of(0x0a)
/** Requests of the server that wait for the client. */
const ASKED_MAX = 1024
/** Answers of ours that wait for the server. */
const ANSWERS_MAX = 64
const REPLAY_TIMEOUT = "30 seconds"
const EXIT_GRACE = "1 second"
const STDERR_LINES_LOGGED = 5
